"""Fixtures: the repository tests run against every engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from readings.repositories import ReadingsRepository, open_repository
from readings.repositories.timestream import minute_reader
from tests.readings.repositories.engines import (
    A_MIDNIGHT,
    LIVE_AWS,
    ClickHouse,
    Delta,
    DeltaInBucket,
    EngineUnderTest,
    local_timestream,
    timestream_on_aws,
)
from tests.services.servers import SeaweedFS
from tests.services.timestream import TimestreamLocal

ENGINES = [
    "delta",
    pytest.param("delta in a bucket", marks=pytest.mark.starts_processes),
    pytest.param("clickhouse", marks=pytest.mark.starts_processes),
    pytest.param("timestream", marks=pytest.mark.starts_processes),
    *(["timestream on AWS"] if LIVE_AWS else []),
]


@pytest.fixture(scope="session", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> EngineUnderTest:
    """Each engine in turn."""
    if request.param == "delta":
        return Delta(tmp_path_factory.mktemp("delta"))
    if request.param == "timestream on AWS":
        return timestream_on_aws()
    if request.param == "clickhouse":
        return ClickHouse(request.getfixturevalue("clickhouse"))
    bucket: SeaweedFS = request.getfixturevalue("seaweedfs")
    if request.param == "delta in a bucket":
        return DeltaInBucket(bucket)
    server: TimestreamLocal = request.getfixturevalue("timestream")
    return local_timestream(server, bucket.endpoint)


@pytest.fixture(autouse=True)
def windows_end_soon(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let windows without an end in Timestream end soon after the readings of the tests, not today.

    A page counts the empty years between in ten queries. A test in ``test_timestream.py`` counts such queries.
    """
    if "engine" in request.fixturenames and not LIVE_AWS:
        end = A_MIDNIGHT + timedelta(hours=12)
        monkeypatch.setattr(minute_reader, "MAX_FUTURE", end - datetime.now(UTC))


@pytest.fixture
def repository(engine: EngineUnderTest, settings: Settings) -> Iterator[ReadingsRepository]:
    """An empty repository of the engine. It is the deployment's repository during the test."""
    with engine.new_repository() as url:
        settings.READINGS_URL = url
        yield open_repository(url)
