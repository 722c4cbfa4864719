"""What is particular to Timestream: what a query costs, what the service refuses, and how it fails."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings import frame
from readings.repositories import (
    ReadingsRefusedError,
    ReadingsRepository,
    RepositoryUnavailableError,
    open_repository,
)
from readings.repositories.cancellation import cancel_when
from readings.repositories.timestream import clients, repository, unload
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.table import Table
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Position, Window
from tests.readings.repositories.engines import LIVE_AWS
from tests.services.servers import BUCKET, SeaweedFS
from tests.services.timestream import TimestreamLocal

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FLEET = Fleet(devices=300)
INTERVALS = 36
END = START + (INTERVALS - 1) * FLEET.interval
ALL = Window(START, END)
A_READING = 7 * 8 + 36 + 36 + 8
"""Bytes that a query of whole readings scans for each: numbers and instants, texts, and what it bounds by."""


@pytest.fixture(scope="module")
def everything() -> pl.DataFrame:
    """Three hours of a fleet."""
    return pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])


@contextmanager
def new_table(timestream: TimestreamLocal) -> Iterator[Address]:
    """A table that keeps whatever is written."""
    made = Address.of(timestream.url_of("particular", f"t-{uuid.uuid4().hex}"))
    table = Table(made, Clients(made))
    table.create_database()
    table.create(magnetic=timedelta(days=73_000))
    yield made
    table.delete()


@pytest.fixture
def address(timestream: TimestreamLocal) -> Iterator[Address]:
    """A table of this test's own."""
    with new_table(timestream) as made:
        yield made


@pytest.fixture
def store(address: Address) -> repository.TimestreamRepository:
    """An empty repository."""
    return repository.TimestreamRepository(address)


@pytest.fixture
def refilled(
    store: repository.TimestreamRepository, everything: pl.DataFrame
) -> repository.TimestreamRepository:
    """One with three hours in it, to be written to."""
    store.write(everything)
    return store


@pytest.fixture(scope="module")
def filled(
    timestream: TimestreamLocal, everything: pl.DataFrame
) -> Iterator[repository.TimestreamRepository]:
    """One with three hours in it, shared by the tests that only read."""
    with new_table(timestream) as made:
        store = repository.TimestreamRepository(made)
        store.write(everything)
        yield store


def keys(bucket: SeaweedFS, prefix: str) -> list[str]:
    """What lies in the bucket below a prefix."""
    listed = bucket.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", ())]


# --- what a query costs --------------------------------------------------------------------
@pytest.mark.parametrize("offset", [0, 100, 5_000, 10_700])
def test_a_page_scans_the_intervals_that_hold_it_and_no_other(
    filled: ReadingsRepository, timestream: TimestreamLocal, offset: int
) -> None:
    filled.snapshot().minute_counts(ALL)
    timestream.queries()
    assert len(filled.snapshot().page(ALL, offset=offset, size=50).readings) == 50
    [asked] = timestream.queries()
    assert asked["bytes_scanned"] <= 2 * len(FLEET.meters) * A_READING


def test_a_page_behind_a_position_scans_no_more(
    filled: ReadingsRepository, timestream: TimestreamLocal, everything: pl.DataFrame
) -> None:
    filled.snapshot().minute_counts(ALL)
    moment, device_id = everything.select(frame.ORDER).row(5_000)
    timestream.queries()
    page = filled.snapshot().page(ALL, offset=0, size=50, after=Position(moment, device_id))
    assert page.readings.equals(everything.slice(5_001, 50))
    [asked] = timestream.queries()
    assert asked["bytes_scanned"] <= 2 * len(FLEET.meters) * A_READING


def test_what_was_counted_is_not_counted_again(
    filled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    first = filled.snapshot().minute_counts(ALL)
    timestream.queries()
    assert filled.snapshot().minute_counts(ALL).equals(first)
    assert timestream.queries() == []


def test_only_the_hours_that_are_new_are_counted(
    refilled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    refilled.snapshot().minute_counts(ALL)
    later = END + FLEET.interval
    refilled.write(readings_for(FLEET, later))
    timestream.queries()
    counts = refilled.snapshot().minute_counts(Window(START, later))
    assert counts["minute"].to_list()[-1] == later
    [asked] = timestream.queries()
    assert asked["rows"] == 1


def test_a_window_that_begins_long_before_the_first_reading_takes_few_queries(
    filled: ReadingsRepository, timestream: TimestreamLocal, everything: pl.DataFrame
) -> None:
    timestream.queries()
    page = filled.snapshot().page(Window(datetime(1970, 1, 1, tzinfo=UTC)), offset=0, size=10)
    assert page.readings.equals(everything.head(10))
    assert len(timestream.queries()) <= 22


# --- what comes from a caller --------------------------------------------------------------
@pytest.mark.parametrize("text", ["x' OR '1'='1", "'; DROP TABLE readings; --", "\\' OR 1=1", '"'])
def test_a_callers_text_stays_a_text(filled: ReadingsRepository, text: str) -> None:
    assert filled.snapshot().minute_counts(Window(START, END, device_ids=(text,))).is_empty()
    behind = Position(START, text)
    assert len(filled.snapshot().page(ALL, offset=0, size=10, after=behind).readings) == 10


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("timestream://devices", "not a valid name of a Timestream database or table"),
        ("timestream://devices/read'ings", "not a valid name of a Timestream database or table"),
        ("timestream://devices/readings?zone=x", "zone is not a known option"),
    ],
)
def test_a_url_that_names_no_table_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        open_repository(url)


# --- writing -------------------------------------------------------------------------------
def test_instants_finer_than_a_millisecond_are_kept(store: ReadingsRepository) -> None:
    reading = readings_for(Fleet(devices=1), START).with_columns(
        pl.col("time", "arrival_time") + pl.duration(microseconds=123_457)
    )
    store.write(reading)
    assert store.snapshot().page(ALL, offset=0, size=1).readings.equals(reading)


def test_what_the_table_refuses_is_told_apart_and_the_rest_is_kept(
    address: Address, store: ReadingsRepository
) -> None:
    Clients(address).write.update_table(
        DatabaseName=address.database,
        TableName=address.table,
        MagneticStoreWriteProperties={"EnableMagneticStoreWrites": False},
    )
    now = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    old, new = readings_for(FLEET, START), readings_for(FLEET, now)
    with pytest.raises(ReadingsRefusedError) as refused:
        store.write(pl.concat([old, new]))
    told = str(refused.value)
    assert "refused 300 of 600 readings" in told
    assert "memory store" in told
    assert "Enable magnetic store writes" in told
    assert store.snapshot().minute_counts(Window(now, now))["readings"].to_list() == [300]


def test_a_record_that_another_writer_replaced_meanwhile_is_no_failure(
    store: repository.TimestreamRepository, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    interval = readings_for(FLEET, START)
    store.write(interval)
    blind = repository.TimestreamRepository(address)
    monkeypatch.setattr(blind, "_without_stored", lambda readings: readings)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    blind.write(interval.with_columns(pl.lit(0.0).alias("kw")))
    assert pl.concat(store.snapshot().frames(ALL)).equals(interval)


def test_many_readings_go_by_way_of_the_bucket(
    store: ReadingsRepository,
    everything: pl.DataFrame,
    address: Address,
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repository, "BATCH_LOAD_FROM", 1_000)
    assert store.write(everything) == len(everything)
    assert store.write(everything) == 0
    assert pl.concat(store.snapshot().frames(ALL)).equals(everything)
    tasks = Clients(address).write.list_batch_load_tasks()["BatchLoadTasks"]
    assert address.table in {task["TableName"] for task in tasks}
    assert keys(seaweedfs, address.key("loads") + "/") == []


def test_a_batch_load_that_leaves_readings_out_says_where_its_report_is(
    store: ReadingsRepository, everything: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "BATCH_LOAD_FROM", 1_000)
    too_old = everything.with_columns(pl.col("time") - pl.duration(days=73_000))
    with pytest.raises(ReadingsRefusedError, match=r"10,800 failures.*loads/reports"):
        store.write(too_old)


# --- extracts ------------------------------------------------------------------------------
def test_an_extract_is_one_unload_whose_files_go_when_it_is_released(
    refilled: ReadingsRepository,
    everything: pl.DataFrame,
    timestream: TimestreamLocal,
    seaweedfs: SeaweedFS,
    address: Address,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unload, "CHUNK_READINGS", 1_000)
    timestream.queries()
    extract = refilled.create_extract(ALL, "order/1")
    assert [q["text"][:6] for q in timestream.queries()].count("UNLOAD") == 1
    folders = {
        key.split("/")[-2] for key in keys(seaweedfs, address.key("unloads", "order")) if "=" in key
    }
    assert len(folders) > 5
    assert list(refilled.extract_owners()) == ["order"]

    refilled.write(readings_for(Fleet(devices=400), START))
    assert pl.concat(refilled.open_extract(extract.name).frames(ALL)).equals(everything)

    refilled.delete_extracts("order")
    assert keys(seaweedfs, address.key("unloads", "order")) == []
    with pytest.raises(RepositoryUnavailableError):
        refilled.open_extract(extract.name)


def test_a_window_without_readings_is_not_unloaded(
    filled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    timestream.queries()
    empty = Window(START - timedelta(days=2), START - timedelta(days=1))
    assert filled.create_extract(empty, "order/1").minute_counts(empty).is_empty()
    assert "UNLOAD" not in {q["text"][:6] for q in timestream.queries()}


def test_without_a_bucket_an_extract_is_the_table_itself(
    refilled: ReadingsRepository,
    everything: pl.DataFrame,
    timestream: TimestreamLocal,
    address: Address,
) -> None:
    bare = open_repository(timestream.url_of(address.database, address.table, bucket=None))
    extract = bare.create_extract(ALL, "order/1")
    assert pl.concat(bare.open_extract(extract.name).frames(ALL)).equals(everything)
    assert bare.extract_owners() == ()


def test_upkeep_removes_what_nobody_released(
    refilled: ReadingsRepository,
    seaweedfs: SeaweedFS,
    address: Address,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refilled.create_extract(ALL, "order/1")
    assert refilled.maintain() == {"files removed": 0}
    monkeypatch.setattr(repository, "KEEP_EXTRACTS", -timedelta(hours=1))
    assert refilled.maintain()["files removed"] > 2
    assert keys(seaweedfs, address.key("unloads", "order")) == []


# --- failures ------------------------------------------------------------------------------
def test_pages_without_rows_are_no_end(
    filled: ReadingsRepository, everything: pl.DataFrame, timestream: TimestreamLocal
) -> None:
    filled.snapshot().minute_counts(ALL)
    timestream.fail("Query", "StillRunning", times=3)
    assert filled.snapshot().page(ALL, offset=10, size=20).readings.equals(everything.slice(10, 20))


def test_a_throttled_call_is_repeated(
    filled: ReadingsRepository, everything: pl.DataFrame, timestream: TimestreamLocal
) -> None:
    timestream.fail("Query", "ThrottlingException", times=2)
    assert len(filled.snapshot().page(ALL, offset=0, size=20).readings) == 20


def test_a_service_that_goes_on_throttling_is_given_up_in_time(
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
def test_an_error_of_the_service_is_told_in_an_operators_words(
    filled: ReadingsRepository, timestream: TimestreamLocal, code: str, words: str
) -> None:
    timestream.fail("Query", code, times=1)
    with pytest.raises(RepositoryUnavailableError, match=words):
        filled.snapshot().page(ALL, offset=0, size=20)


def test_a_table_that_is_not_there_says_how_to_make_it(timestream: TimestreamLocal) -> None:
    store = open_repository(timestream.url_of("particular", "not-there"))
    with pytest.raises(RepositoryUnavailableError, match=r"manage\.py timestream create"):
        store.snapshot()


def test_a_query_is_cancelled_when_nobody_waits_any_more(
    filled: ReadingsRepository, timestream: TimestreamLocal
) -> None:
    snapshot = filled.snapshot()
    snapshot.minute_counts(ALL)
    timestream.cancelled()
    timestream.fail("Query", "StillRunning", times=5)
    looks = 0

    def gone_at_the_third_look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise LookupError("The caller has gone.")

    with pytest.raises(LookupError), cancel_when(gone_at_the_third_look):
        snapshot.page(ALL, offset=0, size=20)
    timestream.fail("Query", "StillRunning", times=0)
    [text] = timestream.cancelled()
    assert "LIMIT 21" in text


def test_every_page_of_a_large_answer_is_read(
    filled: ReadingsRepository, everything: pl.DataFrame
) -> None:
    page = filled.snapshot().page(ALL, offset=1, size=5_000)
    assert page.readings.equals(everything.slice(1, 5_000))


@pytest.mark.skipif(LIVE_AWS, reason="the whole contract runs on AWS in this session")
def test_the_contract_can_be_held_against_aws_itself() -> None:
    pytest.skip(
        "Timestream on AWS needs an account: with credentials and HEADEND_LIVE_AWS=1, test_repository.py makes "
        "and removes tables of a database headend-contract there"
    )
