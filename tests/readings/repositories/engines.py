"""The engines that one suite holds to one contract."""

from __future__ import annotations

import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.table import Table
from tests.services.servers import BUCKET
from tests.services.timestream import TimestreamLocal

LIVE_AWS = os.environ.get("HEADEND_LIVE_AWS") == "1"
"""``HEADEND_LIVE_AWS=1``: Timestream on AWS too, with the credentials and the region boto3 finds.

It makes a database ``headend-contract`` and removes its tables behind each test. ``HEADEND_LIVE_BUCKET`` may name
a bucket in the same region, for extracts.
"""


def _midnight() -> datetime:
    if not LIVE_AWS:
        return datetime(2023, 2, 28, tzinfo=UTC)
    # What is older than the memory store shows only hours after it was written.
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=2)


A_MIDNIGHT = _midnight()
"""The one that the suite's readings lie around."""


class Engine(ABC):
    """Where repositories can be made."""

    out_of_reach: str
    """The URL of one that cannot be reached."""

    @abstractmethod
    def new_store(self) -> AbstractContextManager[str]:
        """The URL of an empty repository, which is there until the context is left."""


class Delta(Engine):
    """Folders on a disk."""

    out_of_reach = "delta:///proc/nothing/here"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def new_store(self) -> Iterator[str]:
        """See :meth:`Engine.new_store`."""
        yield f"delta://{self._folder / uuid.uuid4().hex}"


class Timestream(Engine):
    """Tables of one database, on a server or on AWS."""

    out_of_reach = (
        "timestream://devices/readings?region=us-east-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    )

    def __init__(self, url_of: str, *, memory: timedelta, magnetic: timedelta) -> None:
        """``url_of`` is a URL with ``{table}`` in it."""
        self._url_of = url_of
        self._retention = memory, magnetic

    @contextmanager
    def new_store(self) -> Iterator[str]:
        """See :meth:`Engine.new_store`."""
        url = self._url_of.format(table=f"t-{uuid.uuid4().hex}")
        address = Address.of(url)
        table = Table(address, Clients(address))
        table.create_database()
        table.create(*self._retention)
        yield url
        table.delete()


def local_timestream(server: TimestreamLocal, s3_endpoint: str) -> Timestream:
    """The local server, with a bucket in reach; it keeps whatever is written, however old."""
    from urllib.parse import quote

    return Timestream(
        f"timestream://contract/{{table}}?region=us-east-1&endpoint_url={quote(server.endpoint, safe='')}"
        f"&bucket={BUCKET}/timestream&s3_endpoint_url={quote(s3_endpoint, safe='')}",
        memory=timedelta(hours=168),
        magnetic=timedelta(days=73_000),
    )


def timestream_on_aws() -> Timestream:
    """The service itself."""
    bucket = os.environ.get("HEADEND_LIVE_BUCKET")
    return Timestream(
        "timestream://headend-contract/{table}" + (f"?bucket={bucket}" if bucket else ""),
        memory=timedelta(days=30),
        magnetic=timedelta(days=31),
    )
