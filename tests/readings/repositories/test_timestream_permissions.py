"""The roles of deploy/aws/headend.yaml allow the calls to Timestream, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest

from readings.cancellation import cancel_when
from readings.repositories.timestream import repository as timestream_repository
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.repository import TimestreamRepository
from readings.repositories.timestream.table import Table
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.deploy.aws_template import Permission, granted
from tests.services.aws_calls import AwsCalls
from tests.services.servers import BUCKET, SeaweedFS
from tests.services.timestream import TimestreamLocal

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
NOT_RECORDED = {
    # boto3 calls it only for AWS's own addresses.
    Permission("timestream:DescribeEndpoints"),
    # An UNLOAD is a query, so its call is that of a query. AWS's documentation demands both.
    Permission("timestream:Unload"),
    Permission("timestream:ListMeasures"),
    # Timestream calls S3 for an UNLOAD, with the permissions of the caller. AWS's documentation of UNLOAD lists them.
    Permission("s3:GetBucketAcl", BUCKET),
    Permission("s3:AbortMultipartUpload", f"{BUCKET}/timestream/*"),
}


@pytest.fixture
def address(
    timestream: TimestreamLocal, seaweedfs: SeaweedFS, aws_calls: AwsCalls
) -> Iterator[TimestreamAddress]:
    """An empty table. The worker's calls to it and to the bucket are recorded."""
    address = TimestreamAddress.of(timestream.url_of("tests", f"t-{uuid.uuid4().hex}"))
    table = Table(address, Clients(address))
    table.create_database()
    table.create(magnetic=timedelta(days=73_000))
    yield replace(
        address,
        endpoint_url=unquote(aws_calls.proxy("worker", timestream.endpoint)),
        s3_endpoint_url=unquote(aws_calls.proxy("worker", seaweedfs.endpoint)),
    )
    table.delete()


def use(
    repository: TimestreamRepository, timestream: TimestreamLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do everything that a worker and the management commands do with a table."""
    fleet = Fleet(devices=100)
    repository.check()
    repository.write(readings_for(fleet, START))
    monkeypatch.setattr(timestream_repository, "BATCH_LOAD_FROM", 50)
    repository.write(readings_for(fleet, START + fleet.interval))
    window = Window(START, START + fleet.interval)
    assert len(repository.snapshot().page(window, offset=0, size=10).readings) == 10
    extract = repository.create_extract(window, "owner/attempt")
    assert sum(len(readings) for readings in extract.frames(window)) == 200
    repository.delete_extracts("owner")
    timestream.fail("Query", "StillRunning", times=5)
    checks = iter([None, None])

    def lose_the_lease_at_the_third_check() -> None:
        if next(checks, "lost"):
            raise LookupError

    with pytest.raises(LookupError), cancel_when(lose_the_lease_at_the_third_check):
        repository.snapshot().page(window, offset=0, size=10)
    timestream.fail("Query", "StillRunning", times=0)


def test_the_role_of_a_worker_allows_its_calls_to_timestream_and_nothing_else(
    address: TimestreamAddress,
    timestream: TimestreamLocal,
    aws_calls: AwsCalls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(TimestreamRepository(address), timestream, monkeypatch)
    allowed, used = granted("worker", BUCKET, timestream=True), aws_calls.used["worker"]
    always_allowed = granted("worker", BUCKET)
    missing = {
        each for each in used if not any(one.allows(each) for one in allowed | always_allowed)
    }
    unused = {one for one in allowed if not any(one.allows(each) for each in used)}
    assert (missing, unused) == (set(), NOT_RECORDED)
