"""Timestream: the cost of queries, refused readings, extracts and failures."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings import frame
from readings.cancellation import cancel_when
from readings.repositories import ReadingsRepository, open_repository
from readings.repositories.timestream import clients, unload
from readings.repositories.timestream import repository as timestream_repository
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.repository import TimestreamRepository
from readings.repositories.timestream.table import Table
from readings.repository_errors import ReadingsRefusedError, RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Position, Window
from tests.readings.repositories.engines import LIVE_AWS
from tests.services.servers import BUCKET, SeaweedFS
from tests.services.timestream import TimestreamLocal

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FLEET = Fleet(devices=100)
INTERVALS = 36
END = START + (INTERVALS - 1) * FLEET.interval
ALL = Window(START, END)
BYTES_PER_READING = 7 * 8 + 36 + 36 + 8
"""What a query of all columns scans for a reading: numbers and instants, device id, measure name, its conditions."""


@pytest.fixture(scope="module")
def everything() -> pl.DataFrame:
    """Three hours of a fleet."""
    return pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])


@contextmanager
def new_table(timestream: TimestreamLocal) -> Iterator[TimestreamAddress]:
    """Create a table that keeps readings of any age; delete it afterwards."""
    address = TimestreamAddress.of(timestream.url_of("tests", f"t-{uuid.uuid4().hex}"))
    table = Table(address, Clients(address))
    table.create_database()
    table.create(magnetic=timedelta(days=73_000))
    yield address
    table.delete()


@pytest.fixture
def address(timestream: TimestreamLocal) -> Iterator[TimestreamAddress]:
    """An empty table for one test."""
    with new_table(timestream) as address:
        yield address


@pytest.fixture
def repository(address: TimestreamAddress) -> TimestreamRepository:
    """An empty repository."""
    return TimestreamRepository(address)


@pytest.fixture
def refilled(repository: TimestreamRepository, everything: pl.DataFrame) -> TimestreamRepository:
    """A repository with three hours of readings, for one test that changes it."""
    repository.write(everything)
    return repository


@pytest.fixture(scope="module")
def filled(timestream: TimestreamLocal, everything: pl.DataFrame) -> Iterator[TimestreamRepository]:
    """A repository with three hours of readings, shared by the tests that only read."""
    with new_table(timestream) as address:
        repository = TimestreamRepository(address)
        repository.write(everything)
        yield repository


def keys(bucket: SeaweedFS, prefix: str) -> list[str]:
    """Return the object keys below a prefix."""
    listed = bucket.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", ())]


# --- The cost of queries --------------------------------------------------------------------
@pytest.mark.parametrize("offset", [0, 100, 1_700, 3_550])
def test_a_page_scans_only_the_intervals_that_hold_it(
    filled: ReadingsRepository, timestream: TimestreamLocal, offset: int
) -> None:
    filled.snapshot().minute_counts(ALL)
    timestream.queries()
    assert len(filled.snapshot().page(ALL, offset=offset, size=50).readings) == 50
    [query] = timestream.queries()
    assert query["bytes_scanned"] <= 2 * len(FLEET.meters) * BYTES_PER_READING


def test_a_page_after_a_position_scans_only_the_intervals_that_hold_it(
    filled: ReadingsRepository, timestream: TimestreamLocal, everything: pl.DataFrame
) -> None:
    filled.snapshot().minute_counts(ALL)
    moment, device_id = everything.select(frame.ORDER).row(1_700)
    timestream.queries()
    page = filled.snapshot().page(ALL, offset=0, size=50, after=Position(moment, device_id))
    assert page.readings.equals(everything.slice(1_701, 50))
    [query] = timestream.queries()
    assert query["bytes_scanned"] <= 2 * len(FLEET.meters) * BYTES_PER_READING


def test_counted_hours_are_not_counted_again(
    filled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    first = filled.snapshot().minute_counts(ALL)
    timestream.queries()
    assert filled.snapshot().minute_counts(ALL).equals(first)
    assert timestream.queries() == []


def test_only_new_hours_are_counted(
    refilled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    refilled.snapshot().minute_counts(ALL)
    later = END + FLEET.interval
    refilled.write(readings_for(FLEET, later))
    timestream.queries()
    counts = refilled.snapshot().minute_counts(Window(START, later))
    assert counts["minute"].to_list()[-1] == later
    [query] = timestream.queries()
    assert query["rows"] == 1


def test_a_window_that_starts_long_before_the_first_reading_takes_few_queries(
    filled: ReadingsRepository, timestream: TimestreamLocal, everything: pl.DataFrame
) -> None:
    timestream.queries()
    page = filled.snapshot().page(Window(datetime(1970, 1, 1, tzinfo=UTC)), offset=0, size=10)
    assert page.readings.equals(everything.head(10))
    assert len(timestream.queries()) <= 22


# --- Values from a caller --------------------------------------------------------------
@pytest.mark.parametrize("text", ["x' OR '1'='1", "'; DROP TABLE readings; --", "\\' OR 1=1", '"'])
def test_a_value_from_a_caller_stays_a_literal(filled: ReadingsRepository, text: str) -> None:
    assert filled.snapshot().minute_counts(Window(START, END, device_ids=(text,))).is_empty()
    position = Position(START, text)
    assert len(filled.snapshot().page(ALL, offset=0, size=10, after=position).readings) == 10


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("timestream://devices", "not a valid name of a Timestream database or table"),
        ("timestream://devices/read'ings", "not a valid name of a Timestream database or table"),
        ("timestream://devices/readings?zone=x", "zone is not a known option"),
    ],
)
def test_a_url_that_is_not_valid_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        open_repository(url)


# --- Writing -------------------------------------------------------------------------------
def test_microseconds_are_stored(repository: ReadingsRepository) -> None:
    reading = readings_for(Fleet(devices=1), START).with_columns(
        pl.col("time", "arrival_time") + pl.duration(microseconds=123_457)
    )
    repository.write(reading)
    assert repository.snapshot().page(ALL, offset=0, size=1).readings.equals(reading)


def test_refused_readings_raise_an_error_and_the_others_are_stored(
    address: TimestreamAddress, repository: ReadingsRepository
) -> None:
    Clients(address).write.update_table(
        DatabaseName=address.database,
        TableName=address.table,
        MagneticStoreWriteProperties={"EnableMagneticStoreWrites": False},
    )
    now = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    old, new = readings_for(FLEET, START), readings_for(FLEET, now)
    with pytest.raises(ReadingsRefusedError) as refused:
        repository.write(pl.concat([old, new]))
    message = str(refused.value)
    assert "refused 100 of 200 readings" in message
    assert "memory store" in message
    assert "Enable magnetic store writes" in message
    assert repository.snapshot().minute_counts(Window(now, now))["readings"].to_list() == [100]


def test_of_two_writers_of_a_reading_with_the_same_arrival_time_the_first_one_stays(
    repository: TimestreamRepository, address: TimestreamAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    interval = readings_for(FLEET, START)
    repository.write(interval)
    earlier_writer = TimestreamRepository(address)
    monkeypatch.setattr(
        earlier_writer,
        "_compare_with_stored",
        lambda readings, corrections: (readings, readings.clear()),
    )
    earlier_writer.write(interval.with_columns(pl.lit(0.0).alias("kw")))
    assert pl.concat(repository.snapshot().frames(ALL)).equals(interval)


def test_many_readings_are_written_by_a_batch_load_task(
    repository: ReadingsRepository,
    everything: pl.DataFrame,
    address: TimestreamAddress,
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timestream_repository, "BATCH_LOAD_FROM", 1_000)
    assert repository.write(everything) == len(everything)
    assert repository.write(everything) == 0
    assert pl.concat(repository.snapshot().frames(ALL)).equals(everything)
    tasks = Clients(address).write.list_batch_load_tasks()["BatchLoadTasks"]
    assert address.table in {task["TableName"] for task in tasks}
    assert keys(seaweedfs, address.key("loads") + "/") == []


def test_the_error_of_a_failed_batch_load_names_its_report(
    repository: ReadingsRepository, everything: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timestream_repository, "BATCH_LOAD_FROM", 1_000)
    too_old = everything.with_columns(pl.col("time") - pl.duration(days=73_000))
    with pytest.raises(ReadingsRefusedError, match=r"3,600 failures.*loads/reports"):
        repository.write(too_old)


# --- Extracts ------------------------------------------------------------------------------
def test_an_extract_is_one_unload_and_its_files_are_deleted_with_it(
    refilled: ReadingsRepository,
    everything: pl.DataFrame,
    timestream: TimestreamLocal,
    seaweedfs: SeaweedFS,
    address: TimestreamAddress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unload, "CHUNK_READINGS", 400)
    timestream.queries()
    extract = refilled.create_extract(ALL, "owner/1")
    assert [q["text"][:6] for q in timestream.queries()].count("UNLOAD") == 1
    folders = {
        key.split("/")[-2] for key in keys(seaweedfs, address.key("unloads", "owner")) if "=" in key
    }
    assert len(folders) > 5
    assert list(refilled.extract_owners()) == ["owner"]

    refilled.write(readings_for(Fleet(devices=200), START))
    assert pl.concat(refilled.open_extract(extract.name).frames(ALL)).equals(everything)

    refilled.delete_extracts("owner")
    assert keys(seaweedfs, address.key("unloads", "owner")) == []
    with pytest.raises(RepositoryUnavailableError):
        refilled.open_extract(extract.name)


def test_an_empty_window_is_not_unloaded(
    filled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    timestream.queries()
    empty = Window(START - timedelta(days=2), START - timedelta(days=1))
    assert filled.create_extract(empty, "owner/1").minute_counts(empty).is_empty()
    assert "UNLOAD" not in {q["text"][:6] for q in timestream.queries()}


def test_without_a_bucket_an_extract_is_the_snapshot(
    refilled: ReadingsRepository,
    everything: pl.DataFrame,
    timestream: TimestreamLocal,
    address: TimestreamAddress,
) -> None:
    without_bucket = open_repository(
        timestream.url_of(address.database, address.table, bucket=None)
    )
    extract = without_bucket.create_extract(ALL, "owner/1")
    assert pl.concat(without_bucket.open_extract(extract.name).frames(ALL)).equals(everything)
    assert without_bucket.extract_owners() == ()


def test_maintenance_deletes_old_extracts(
    refilled: ReadingsRepository,
    seaweedfs: SeaweedFS,
    address: TimestreamAddress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refilled.create_extract(ALL, "owner/1")
    assert refilled.maintain() == {"files removed": 0}
    monkeypatch.setattr(timestream_repository, "KEEP_EXTRACTS", -timedelta(hours=1))
    assert refilled.maintain()["files removed"] > 2
    assert keys(seaweedfs, address.key("unloads", "owner")) == []


# --- Failures ------------------------------------------------------------------------------
def test_result_pages_without_rows_are_followed(
    filled: ReadingsRepository, everything: pl.DataFrame, timestream: TimestreamLocal
) -> None:
    filled.snapshot().minute_counts(ALL)
    timestream.fail("Query", "StillRunning", times=3)
    assert filled.snapshot().page(ALL, offset=10, size=20).readings.equals(everything.slice(10, 20))


def test_a_throttled_call_is_retried(
    filled: ReadingsRepository, everything: pl.DataFrame, timestream: TimestreamLocal
) -> None:
    timestream.fail("Query", "ThrottlingException", times=2)
    assert len(filled.snapshot().page(ALL, offset=0, size=20).readings) == 20


def test_retries_of_a_throttled_call_end(
    filled: ReadingsRepository, timestream: TimestreamLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "RETRY_SECONDS", 1.0)
    timestream.fail("Query", "ThrottlingException", times=100)
    with pytest.raises(RepositoryUnavailableError, match="throttles this account"):
        filled.snapshot().page(ALL, offset=0, size=20)
    timestream.fail("Query", "ThrottlingException", times=0)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDeniedException", "do not have permission"),
        ("ExpiredTokenException", "credentials have expired"),
        ("QueryExecutionException", "could not finish the query"),
        ("ValidationException", "rejected the call as not valid"),
    ],
)
def test_an_error_of_the_service_has_a_message_for_operators(
    filled: ReadingsRepository, timestream: TimestreamLocal, code: str, words: str
) -> None:
    timestream.fail("Query", code, times=1)
    with pytest.raises(RepositoryUnavailableError, match=words):
        filled.snapshot().page(ALL, offset=0, size=20)


def test_the_error_for_a_missing_table_says_how_to_create_it(timestream: TimestreamLocal) -> None:
    repository = open_repository(timestream.url_of("tests", "not-there"))
    with pytest.raises(RepositoryUnavailableError, match=r"manage\.py timestream create"):
        repository.snapshot()


def test_a_query_is_cancelled_when_its_caller_cancels(
    filled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    snapshot = filled.snapshot()
    snapshot.minute_counts(ALL)
    timestream.cancelled()
    timestream.fail("Query", "StillRunning", times=5)
    checks = 0

    def cancel_at_the_third_check() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            raise LookupError("The caller has gone.")

    with pytest.raises(LookupError), cancel_when(cancel_at_the_third_check):
        snapshot.page(ALL, offset=0, size=20)
    timestream.fail("Query", "StillRunning", times=0)
    [text] = timestream.cancelled()
    assert "LIMIT 21" in text


def test_all_pages_of_a_large_result_are_read(
    filled: ReadingsRepository, everything: pl.DataFrame
) -> None:
    page = filled.snapshot().page(ALL, offset=1, size=2_500)
    assert page.readings.equals(everything.slice(1, 2_500))


@pytest.mark.skipif(LIVE_AWS, reason="this run already tests AWS")
def test_timestream_on_aws() -> None:
    pytest.skip(
        "Timestream on AWS needs an account: with credentials and HEADEND_LIVE_AWS=1, test_repository.py creates "
        "and deletes tables of the database headend-contract there"
    )
