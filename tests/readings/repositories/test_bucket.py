"""A Delta table in a bucket: several processes, killed writers, expiring credentials, and other programs."""

from __future__ import annotations

import io
import json
import multiprocessing
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from multiprocessing.connection import Connection

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from readings import frame
from readings.repositories import ReadingsRepository
from readings.repositories.delta import bucket_access
from readings.repositories.delta.address import BucketAddress
from readings.repositories.delta.bucket import BucketFolder
from readings.repositories.delta.compaction import MIN_FILES
from readings.repositories.delta.repository import DeltaRepository
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.repositories.engines import A_MIDNIGHT, DeltaInBucket
from tests.readings.repositories.writer_process import write_intervals
from tests.services.expiring_credentials import expiring_credentials
from tests.services.fault_proxy import FaultProxy
from tests.services.servers import ACCESS_KEY, SECRET_KEY, SeaweedFS

pytestmark = pytest.mark.starts_processes

FLEET = Fleet(devices=30)
INTERVALS = list(FLEET.intervals(A_MIDNIGHT, A_MIDNIGHT + 11 * FLEET.interval))
EVERYTHING = pl.concat([readings_for(FLEET, at) for at in INTERVALS])
KILLS = 3
"""Few, because each process needs most of a second of processor time before it writes. 20 kills were tested by hand."""


@pytest.fixture
def url(seaweedfs: SeaweedFS) -> Iterator[str]:
    """The URL of an empty table."""
    with DeltaInBucket(seaweedfs).new_repository() as url:
        yield url


def repository_of(url: str) -> DeltaRepository:
    """Return a new repository without caches, as in another process."""
    return DeltaRepository(BucketFolder(BucketAddress.of(url)))


def stored(repository: ReadingsRepository) -> pl.DataFrame:
    return pl.concat([frame.empty(), *repository.snapshot().frames(Window(A_MIDNIGHT))])


def start_writer(
    url: str, intervals: list[datetime]
) -> tuple[multiprocessing.context.SpawnProcess, Connection]:
    # deltalake does not work after a fork.
    context = multiprocessing.get_context("spawn")
    result, written = context.Pipe(duplex=False)
    writer = context.Process(target=write_intervals, args=(url, FLEET, intervals, written))
    writer.start()
    written.close()
    return writer, result


def received(result: Connection) -> list[tuple[datetime, int]]:
    """Return what a writer sent until it ended."""
    found = []
    while True:
        try:
            found.append(result.recv())
        except EOFError:
            return found


def test_three_processes_that_write_the_same_and_different_intervals_store_each_reading_once(
    url: str,
) -> None:
    parts = [INTERVALS[:8], INTERVALS[4:], INTERVALS[::-1][:8]]
    writers = [start_writer(url, part) for part in parts]
    added = sum(readings for _, result in writers for _, readings in received(result))
    for writer, _ in writers:
        writer.join()
    assert [writer.exitcode for writer, _ in writers] == [0, 0, 0]
    assert added == len(EVERYTHING)
    assert stored(repository_of(url)).equals(EVERYTHING)


def test_killed_writers_lose_nothing_repeat_nothing_and_leave_no_partial_write(url: str) -> None:
    draw = random.Random(1)
    for _ in range(KILLS):
        writer, result = start_writer(url, INTERVALS)
        reported = [result.recv()]
        # Killed at some moment of the writes that follow.
        time.sleep(draw.random() / 4)
        writer.kill()
        writer.join()
        reported += received(result)
        found = stored(repository_of(url))
        assert found.equals(EVERYTHING.filter(pl.col("time").is_in(found["time"].to_list())))
        assert {at for at, _ in reported} <= set(found["time"])
    repository = repository_of(url)
    for at in INTERVALS:
        repository.write(readings_for(FLEET, at))
    assert stored(repository).equals(EVERYTHING)


def test_writes_through_a_network_that_fails_store_each_reading_once(seaweedfs: SeaweedFS) -> None:
    prefix = uuid.uuid4().hex
    with FaultProxy(seaweedfs.endpoint, share=0.1, seed=1, hang_seconds=0.1) as proxy:
        repository = repository_of(seaweedfs.readings_url(prefix, proxy.url))
        for at in INTERVALS:
            while True:
                with suppress(RepositoryUnavailableError):
                    repository.write(readings_for(FLEET, at))
                    break
        assert proxy.faults.total() > 0
    assert stored(repository_of(seaweedfs.readings_url(prefix))).equals(EVERYTHING)


def test_maintenance_in_a_bucket_compacts_fills_the_cache_and_deletes_what_is_unused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = repository_of(url)
    times = list(FLEET.intervals(A_MIDNIGHT, A_MIDNIGHT + (MIN_FILES - 1) * FLEET.interval))
    for at in times:
        repository.write(readings_for(FLEET, at))
    before = stored(repository)
    for module in ("day_cache", "minute_statistics", "meter_copies"):
        # As if an hour had passed.
        monkeypatch.setattr(f"readings.repositories.delta.{module}.DELETE_AFTER_SECONDS", -3600)
    done = repository.maintain()
    assert (done["days compacted"], done["days counted"], done["days summed up"]) == (1, 1, 1)
    assert done["cache files removed"] == MIN_FILES
    folder = BucketFolder(BucketAddress.of(url))
    assert len(folder.names("_statistics")) == len(folder.names("_hours")) == 1
    another = repository_of(url)
    assert stored(another).equals(before)
    assert another.snapshot().hourly_means(Window(A_MIDNIGHT))["readings"].sum() == len(before)
    assert another.snapshot().day_summaries()["readings"].to_list() == [len(before)]


def test_a_copied_day_in_a_bucket_is_read_without_its_data_files(url: str) -> None:
    repository, folder = repository_of(url), BucketFolder(BucketAddress.of(url))
    repository.write(EVERYTHING)
    meter = EVERYTHING["device_id"][7]
    assert repository.maintain()["days copied"] == 1
    folder.remove(folder.names(f"day={A_MIDNIGHT.date()}"))
    window = Window(A_MIDNIGHT, device_ids=(meter,))
    page = repository_of(url).snapshot().page(window, offset=0, size=100)
    assert page.readings.equals(EVERYTHING.filter(pl.col("device_id") == meter))
    # The data files of another list are read. Here they are missing.
    repository.write(readings_for(FLEET, INTERVALS[-1] + FLEET.interval))
    with pytest.raises(RepositoryUnavailableError):
        repository_of(url).snapshot().page(window, offset=0, size=100)


def test_another_program_reads_the_same_rows(seaweedfs: SeaweedFS, url: str) -> None:
    repository = repository_of(url)
    for at in INTERVALS:
        repository.write(readings_for(FLEET, at))
    options = {
        "aws_endpoint_url": seaweedfs.endpoint,
        "aws_region": "us-east-1",
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
        "allow_http": "true",
    }
    address = BucketAddress.of(url)
    table = f"s3://{address.bucket}/{address.prefix}"
    rows = pl.scan_delta(table, storage_options=options).select(frame.COLUMNS)
    assert rows.sort(frame.ORDER).collect().equals(EVERYTHING)


def test_a_reader_of_the_log_and_the_parquet_files_finds_the_same_rows(
    seaweedfs: SeaweedFS, url: str
) -> None:
    """It follows the protocol of Delta Lake with boto3 and pyarrow, without the libraries of headend."""
    repository = repository_of(url)
    for at in INTERVALS:
        repository.write(readings_for(FLEET, at))
    address, client = BucketAddress.of(url), seaweedfs.client()

    def content(key: str) -> bytes:
        body: bytes = client.get_object(Bucket=address.bucket, Key=key)["Body"].read()
        return body

    log = f"{address.prefix}/_delta_log/"
    entries = client.list_objects_v2(Bucket=address.bucket, Prefix=log)["Contents"]
    commits = [entry["Key"] for entry in entries if entry["Key"].endswith(".json")]
    actions = [json.loads(line) for key in commits for line in content(key).splitlines()]
    files = [action["add"]["path"] for action in actions if "add" in action]
    assert not [action for action in actions if "remove" in action]
    tables = [parquet.read_table(io.BytesIO(content(f"{address.prefix}/{file}"))) for file in files]
    rows = pl.DataFrame(pa.concat_tables(tables)).select(frame.COLUMNS)
    assert rows.sort(frame.ORDER).equals(EVERYTHING)


def test_a_recent_snapshot_is_not_looked_up_again_at_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No machine is so slow that this time ends during the test.
    monkeypatch.setattr(BucketFolder, "recheck_seconds", 86_400.0)
    reader = repository_of(url)
    before = reader.snapshot()
    repository_of(url).write(readings_for(FLEET, INTERVALS[0]))
    assert reader.recent_snapshot() is before
    newer = reader.newer_snapshot(before)
    assert newer is not None
    assert newer.name != before.name
    assert reader.newer_snapshot(newer) is None
    assert reader.recent_snapshot().name == reader.snapshot().name


def test_a_recent_snapshot_is_at_most_as_old_as_it_promises(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = repository_of(url)
    before = reader.snapshot()
    repository_of(url).write(readings_for(FLEET, INTERVALS[0]))
    monkeypatch.setattr(BucketFolder, "recheck_seconds", 0.0)
    assert reader.recent_snapshot().name != before.name


def test_a_table_is_opened_from_a_checkpoint(url: str) -> None:
    repository = repository_of(url)
    for number in range(21):
        repository.write(readings_for(FLEET, A_MIDNIGHT + number * timedelta(days=1)))
    log = BucketFolder(BucketAddress.of(url)).names("_delta_log")
    assert any(name.endswith(".checkpoint.parquet") for name in log)
    assert repository_of(url).snapshot().name == repository.snapshot().name


def test_credentials_that_expire_are_renewed_by_all_three_clients(
    seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # boto3 renews credentials that expire in less than ten minutes whenever it is asked.
    monkeypatch.setattr(bucket_access, "ASK_AGAIN_SECONDS", 0.0)
    with expiring_credentials(seaweedfs.endpoint) as issuer:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{issuer.url}/credentials")
        repository = repository_of(seaweedfs.readings_url(uuid.uuid4().hex, issuer.url))
        for number, at in enumerate(INTERVALS[:4], start=1):
            repository.write(readings_for(FLEET, at))
            assert len(stored(repository)) == number * len(FLEET.meters)
            issuer.expire()
    assert issuer.refused == 0
    assert len(issuer.used) > 4
