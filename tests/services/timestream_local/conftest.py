"""A database and a table of the local Timestream, and AWS clients that connect to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.services.servers import SeaweedFS
from tests.services.timestream import TimestreamLocal
from tests.services.timestream_local.rows import DATABASE


@pytest.fixture(scope="package")
def database(timestream: TimestreamLocal, seaweedfs: SeaweedFS) -> Iterator[str]:
    """The name of a database. The environment directs all AWS clients to the local servers."""
    import awswrangler as wr

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_TIMESTREAM_WRITE", timestream.endpoint)
        environment.setenv("AWS_ENDPOINT_URL_TIMESTREAM_QUERY", timestream.endpoint)
        environment.setenv("AWS_ENDPOINT_URL_S3", seaweedfs.endpoint)
        wr.timestream.create_database(DATABASE)
        yield DATABASE


@pytest.fixture
def table(database: str) -> str:
    """The name of an empty table whose memory store accepts readings of the last week."""
    import awswrangler as wr

    name = f"t{uuid.uuid4().hex}"
    wr.timestream.create_table(
        database, name, memory_retention_hours=168, magnetic_retention_days=30
    )
    return name


@pytest.fixture
def write(database: str) -> Any:
    """A boto3 client of the write API, without retries."""
    return boto3.client("timestream-write", config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def query(database: str) -> Any:
    """A boto3 client of the query API, without retries."""
    return boto3.client("timestream-query", config=Config(retries={"total_max_attempts": 1}))
