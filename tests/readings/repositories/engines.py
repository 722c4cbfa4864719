"""The engines against which the repository tests run."""

from __future__ import annotations

import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from readings.repositories import open_store
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.table import Table
from tests.services.clickhouse import ClickHouseLocal
from tests.services.servers import BUCKET, SeaweedFS
from tests.services.timestream import TimestreamLocal

LIVE_AWS = os.environ.get("HEADEND_LIVE_AWS") == "1"
"""``HEADEND_LIVE_AWS=1`` tests Timestream on AWS too, with the credentials and region that boto3 finds.

The tests create the database ``headend-contract`` and delete their tables. ``HEADEND_LIVE_BUCKET`` names a bucket in
the same region for extracts (optional).
"""


def _midnight() -> datetime:
    if not LIVE_AWS:
        return datetime(2023, 2, 28, tzinfo=UTC)
    # On AWS, readings older than the memory store become visible only after hours.
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=2)


A_MIDNIGHT = _midnight()
"""The readings of the tests start before this midnight and end after it."""


class EngineUnderTest(ABC):
    """Creates repositories of one engine."""

    unreachable_url: str
    """The URL of a repository that cannot be reached."""

    @abstractmethod
    def new_repository(self) -> AbstractContextManager[str]:
        """Yield the URL of an empty repository. It is deleted when the context ends."""


class Delta(EngineUnderTest):
    """Delta tables in folders on a disk."""

    unreachable_url = "delta:///proc/nothing/here"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def new_repository(self) -> Iterator[str]:
        """See :meth:`EngineUnderTest.new_repository`."""
        url = f"delta://{self._folder / uuid.uuid4().hex}"
        open_store(url).create()
        yield url


class DeltaInBucket(EngineUnderTest):
    """Delta tables below one prefix of a bucket."""

    unreachable_url = (
        "delta+s3://headend/readings?region=us-east-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    )

    def __init__(self, server: SeaweedFS) -> None:
        self._server = server

    @contextmanager
    def new_repository(self) -> Iterator[str]:
        """See :meth:`EngineUnderTest.new_repository`. The table stays until the server's folder is deleted."""
        url = self._server.readings_url(uuid.uuid4().hex)
        open_store(url).create()
        yield url


class ClickHouse(EngineUnderTest):
    """Databases of one ClickHouse server."""

    unreachable_url = "clickhouse://127.0.0.1:9/readings?secure=off"

    def __init__(self, server: ClickHouseLocal) -> None:
        self._server = server

    @contextmanager
    def new_repository(self) -> Iterator[str]:
        """See :meth:`EngineUnderTest.new_repository`."""
        with self._server.new_database() as url:
            open_store(url).create()
            yield url


class Timestream(EngineUnderTest):
    """Timestream tables of one database, on the local server or on AWS."""

    unreachable_url = (
        "timestream://devices/readings?region=us-east-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    )

    def __init__(self, url_template: str, *, memory: timedelta, magnetic: timedelta) -> None:
        """``url_template`` contains ``{table}``."""
        self._url_template = url_template
        self._retention = memory, magnetic

    @contextmanager
    def new_repository(self) -> Iterator[str]:
        """See :meth:`EngineUnderTest.new_repository`."""
        url = self._url_template.format(table=f"t-{uuid.uuid4().hex}")
        address = TimestreamAddress.of(url)
        table = Table(address, Clients(address))
        table.create_database()
        table.create(*self._retention)
        yield url
        table.delete()


def local_timestream(server: TimestreamLocal, s3_endpoint: str) -> Timestream:
    """Return the local server with a bucket. It keeps readings of any age."""
    return Timestream(
        f"timestream://contract/{{table}}?region=us-east-1&endpoint_url={quote(server.endpoint, safe='')}"
        f"&bucket={BUCKET}/timestream&s3_endpoint_url={quote(s3_endpoint, safe='')}",
        memory=timedelta(hours=168),
        magnetic=timedelta(days=73_000),
    )


def timestream_on_aws() -> Timestream:
    """Return the service on AWS."""
    bucket = os.environ.get("HEADEND_LIVE_BUCKET")
    return Timestream(
        "timestream://headend-contract/{table}" + (f"?bucket={bucket}" if bucket else ""),
        memory=timedelta(days=30),
        magnetic=timedelta(days=31),
    )
