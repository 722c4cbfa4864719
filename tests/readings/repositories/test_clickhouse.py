"""Readings in ClickHouse: what the tests of all repositories do not cover."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings import frame
from readings.cancellation import cancel_when
from readings.repositories import ReadingsRepository, open_repository, open_store
from readings.repositories.clickhouse import client
from readings.repositories.clickhouse import snapshot as snapshot_module
from readings.repositories.clickhouse.query import Query
from readings.repositories.clickhouse.repository import ClickHouseRepository
from readings.repositories.clickhouse.sql import Statements
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.services.clickhouse import ClickHouseLocal

START = datetime(2023, 2, 27, 23, 55, tzinfo=UTC)
FLEET = Fleet(devices=40)
SLOW = "SELECT sleepEachRow(0.1) FROM numbers(600) SETTINGS max_block_size = 1"


@pytest.fixture
def url(clickhouse: ClickHouseLocal) -> Iterator[str]:
    """The ``READINGS_URL`` of a database with an empty table."""
    with clickhouse.new_database() as url:
        open_store(url).create()
        yield url


@pytest.fixture
def repository(url: str) -> ReadingsRepository:
    return open_repository(url)


def readings_of(intervals: int, *, kw: float | None = None) -> pl.DataFrame:
    times = [START + n * FLEET.interval for n in range(intervals)]
    readings = pl.concat([readings_for(FLEET, time) for time in times])
    return readings if kw is None else readings.with_columns(pl.lit(kw).alias("kw"))


def table_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0] + ".readings"


def insert_as_another_writer(url: str, readings: pl.DataFrame) -> None:
    """Insert readings without looking for stored ones, as a writer does that looked a moment ago."""
    other = open_repository(url)
    assert isinstance(other, ClickHouseRepository)
    columns = [name for name in readings.columns if name != "measure_name"]
    other._client.insert(other._statements.table, readings.select(columns))


def stored(repository: ReadingsRepository) -> pl.DataFrame:
    return repository.snapshot().page(Window(START), offset=0, size=1_000).readings


def test_of_readings_that_two_writers_inserted_readers_see_the_first(
    clickhouse: ClickHouseLocal, url: str, repository: ReadingsRepository
) -> None:
    readings = readings_of(3)
    insert_as_another_writer(url, readings)
    insert_as_another_writer(url, readings_of(3, kw=999.0))
    assert int(clickhouse.run(f"SELECT count() FROM {table_of(url)}")) == 2 * len(readings)

    assert stored(repository).equals(readings)
    snapshot = repository.snapshot()
    assert snapshot.minute_counts(Window(START))["readings"].to_list() == [40, 40, 40]
    assert snapshot.interval_totals(Window(START))["readings"].to_list() == [40, 40, 40]
    assert snapshot.day_summaries()["readings"].to_list() == [40, 80]

    clickhouse.run(f"OPTIMIZE TABLE {table_of(url)} FINAL")
    assert int(clickhouse.run(f"SELECT count() FROM {table_of(url)}")) == len(readings)
    assert stored(repository).equals(readings)


def test_an_extract_does_not_change_when_readings_are_written_and_merged(
    clickhouse: ClickHouseLocal, url: str, repository: ReadingsRepository
) -> None:
    first = readings_of(2)
    repository.write(first)
    extract = repository.create_extract(Window(START), "request/1")
    repository.write(readings_of(4))
    insert_as_another_writer(url, readings_of(2, kw=999.0))
    clickhouse.run(f"OPTIMIZE TABLE {table_of(url)} FINAL")

    same = repository.open_extract(extract.name)
    assert pl.concat(same.frames(Window(START))).equals(first)
    assert same.minute_counts(Window(START))["readings"].to_list() == [40, 40]


def test_files_have_the_first_of_readings_that_two_writers_inserted(
    url: str, repository: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A frame has the readings of one interval, of which the second one is inserted twice.
    monkeypatch.setattr(snapshot_module, "FRAME_READINGS", len(FLEET.meters))
    readings = readings_of(3)
    second = readings[40:80]
    late = second.with_columns(pl.col("arrival_time") + timedelta(hours=1), kw=pl.lit(999.0))
    insert_as_another_writer(url, readings)
    insert_as_another_writer(url, late)
    arrived = START + 2 * FLEET.interval

    extract = repository.create_extract(Window(START), "request/1")
    assert pl.concat(extract.frames(Window(START))).equals(readings)
    assert not list(extract.frames(Window(START, arrived_after=arrived)))
    assert extract.minute_counts(Window(START))["readings"].to_list() == [40, 40, 40]
    kw = pl.concat(repository.snapshot().frames(Window(START), columns=["kw"]))
    assert kw.equals(readings.select("kw"))


def test_a_file_is_read_with_final_only_where_a_reading_has_several_rows(
    url: str, repository: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "FRAME_READINGS", len(FLEET.meters))
    texts: list[str] = []
    call_of = client.Client._query_call

    def recorded(
        self: client.Client, query: Query, schema: dict[str, pl.DataType]
    ) -> Callable[[str], pl.DataFrame]:
        texts.append(query.text)
        return call_of(self, query, schema)

    insert_as_another_writer(url, readings_of(3))
    insert_as_another_writer(url, readings_of(3)[40:80])
    extract = repository.create_extract(Window(START), "request/1")
    monkeypatch.setattr(client.Client, "_query_call", recorded)
    assert sum(len(readings) for readings in extract.frames(Window(START))) == 120
    assert sorted(" FINAL " in text for text in texts) == [False] * 4 + [True]


def test_a_page_of_few_readings_is_read_in_small_blocks() -> None:
    statements = Statements("headend")
    for corrected in (False, True):
        page = statements.readings(["kw"], Window(START), corrected=corrected, limit=101)
        assert page.settings["max_block_size"] == 1_024
    assert "max_block_size" not in statements.rows(["kw"], Window(START)).settings


def test_an_extract_waits_for_inserts_that_run_already(
    clickhouse: ClickHouseLocal, url: str, repository: ReadingsRepository
) -> None:
    repository.snapshot()
    database = table_of(url).partition(".")[0]
    slow = (
        f"INSERT INTO `{database}`.`readings` (time, arrival_time, device_id, load)"
        " SELECT '2023-02-28 00:00:00', '2023-02-28 00:00:00', toString(number), sleepEachRow(0.2) FROM numbers(5)"
        " SETTINGS max_block_size = 1"
    )
    with ThreadPoolExecutor(1) as threads:
        insert = threads.submit(clickhouse.run, slow)
        running = "SELECT count() FROM system.processes WHERE query_kind = 'Insert'"
        # From its first row on, the insert has the instant `written` of its readings.
        while clickhouse.run(f"{running} AND read_rows > 0") != "1\n":
            assert not insert.done()
            time.sleep(0.01)
        extract = repository.create_extract(Window(START), "request/1")
        assert insert.done() or clickhouse.run(running) == "0\n"
    assert extract.minute_counts(Window(START))["readings"].sum() == 5


@pytest.mark.parametrize("name", ["table", "12345", "written-until-x", "written-until-"])
def test_a_name_that_is_no_extract_is_unavailable(
    repository: ReadingsRepository, name: str
) -> None:
    with pytest.raises(RepositoryUnavailableError, match="is not an extract of ClickHouse"):
        repository.open_extract(name)


def test_counts_are_cached_until_the_day_gets_readings(
    clickhouse: ClickHouseLocal, url: str, repository: ReadingsRepository
) -> None:
    repository.write(readings_of(1))
    assert len(stored(repository)) == 40
    clickhouse.substitute("min(arrival_time)", "SELECT throwIf(1)")
    assert len(stored(repository)) == 40
    insert_as_another_writer(url, readings_of(1, kw=1.0))
    insert_as_another_writer(url, readings_of(2)[40:])
    with pytest.raises(RepositoryUnavailableError):
        stored(repository)
    assert len(stored(repository)) == 80


def test_a_table_that_was_deleted_and_created_again_is_counted_again(
    url: str, repository: ReadingsRepository
) -> None:
    repository.write(readings_of(1))
    assert len(stored(repository)) == 40
    open_store(url).destroy()
    open_store(url).create()
    repository.write(readings_of(1)[:7])
    assert len(stored(repository)) == 7


def test_a_table_that_is_deleted_while_a_process_runs_is_not_an_empty_table(
    url: str, repository: ReadingsRepository
) -> None:
    repository.write(readings_of(1))
    assert len(stored(repository)) == 40
    open_store(url).destroy()
    for act in (repository.snapshot, repository.probe):
        with pytest.raises(RepositoryUnavailableError, match="does not exist"):
            act()
    open_store(url).create()
    assert len(stored(repository)) == 0


def test_results_of_a_deleted_day_are_not_used_again(
    url: str, repository: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(repository, ClickHouseRepository)
    repository.write(readings_of(1, kw=1.0))
    assert set(stored(repository)["kw"]) == {1.0}
    before = repository._state()
    repository.delete_before(START + timedelta(days=2))
    assert len(stored(repository)) == 0
    insert_as_another_writer(url, readings_of(1, kw=2.0))
    # The server was restarted meanwhile, and has given the same numbers again.
    monkeypatch.setattr(repository, "_state", lambda: before)
    assert set(stored(repository)["kw"]) == {2.0}


def test_a_recent_snapshot_shows_what_this_process_has_written(
    repository: ReadingsRepository,
) -> None:
    for intervals in (1, 2, 3):
        repository.write(readings_of(intervals))
        recent = repository.recent_snapshot()
        assert len(recent.page(Window(START), offset=0, size=1_000).readings) == 40 * intervals


def test_a_newer_snapshot_exists_only_after_a_write(
    url: str, repository: ReadingsRepository
) -> None:
    repository.write(readings_of(1))
    recent = repository.recent_snapshot()
    assert repository.newer_snapshot(recent) is None
    insert_as_another_writer(url, readings_of(2)[40:])
    newer = repository.newer_snapshot(recent)
    assert newer is not None
    assert len(newer.page(Window(START), offset=0, size=1_000).readings) == 80
    assert repository.newer_snapshot(newer) is None


def test_many_meters_are_selected(repository: ReadingsRepository) -> None:
    everything = readings_for(Fleet(devices=1_500), START)
    repository.write(everything)
    meters = tuple(everything["device_id"].to_list()[100:1_400])
    page = repository.snapshot().page(Window(START, device_ids=meters), offset=1_000, size=500)
    assert page.readings.equals(everything[1_100:1_400])
    assert not page.more


def test_a_file_of_more_than_a_hundred_days_is_written(repository: ReadingsRepository) -> None:
    year = readings_for(Fleet(devices=150), START).with_columns(
        pl.Series("time", [START + timedelta(days=n) for n in range(150)], frame.INSTANT)
    )
    assert repository.write(year) == 150
    assert stored(repository).height == 150


def test_a_query_that_is_no_longer_needed_is_killed(
    clickhouse: ClickHouseLocal, repository: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NotNeededError(Exception):
        """The caller has gone."""

    # The query keeps every thread of queries busy.
    monkeypatch.setattr(client, "_THREADS", 1)
    repository.write(readings_of(1))
    clickhouse.substitute("LIMIT 11", SLOW)
    running = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%numbers(600)%'"
    running += " AND query NOT LIKE '%system.processes%'"
    started = threading.Event()

    def gone() -> None:
        if clickhouse.run(running) == "1\n":
            started.set()
            raise NotNeededError

    with pytest.raises(NotNeededError), cancel_when(gone):
        repository.snapshot().page(Window(START), offset=0, size=10)
    assert started.is_set()
    # If it were not killed, it would run for a minute.
    deadline = time.monotonic() + 30
    while clickhouse.run(running) != "0\n":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_device_ids_are_values_and_never_sql(repository: ReadingsRepository) -> None:
    strange = "'); DROP TABLE readings; --\\"
    odd = readings_of(1)[:1].with_columns(pl.lit(strange).alias("device_id"))
    repository.write(pl.concat([readings_of(1), odd]))
    window = Window(START, device_ids=(strange,))
    assert repository.snapshot().page(window, offset=0, size=10).readings.equals(odd)
    assert len(stored(repository)) == 41
