"""The parts of ``READINGS_URL=timestream://database/table?…``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

_NAME = re.compile(r"[A-Za-z0-9_.-]{3,256}")
_OPTIONS = ("region", "bucket", "endpoint_url", "s3_endpoint_url")


@dataclass(frozen=True)
class TimestreamAddress:
    """A table, and the bucket that Timestream may unload to and load from.

    ``bucket`` is ``bucket`` or ``bucket/prefix``, in the account and region of the table. The endpoint URLs are for
    servers that are not AWS.
    """

    database: str
    table: str
    region: str | None = None
    bucket: str | None = None
    endpoint_url: str | None = None
    s3_endpoint_url: str | None = None

    @classmethod
    def of(cls, url: str) -> TimestreamAddress:
        """Parse the URL. Raises ``ValueError`` with a sentence for the operator that says what is wrong."""
        parts = urlsplit(url)
        database, table = parts.netloc, parts.path.strip("/")
        for name in (database, table):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is not a valid name of a Timestream database or table; "
                    "use timestream://database/table?region=…"
                )
        options = dict(parse_qsl(parts.query))
        for option in options.keys() - set(_OPTIONS):
            raise ValueError(f"{option} is not a known option; use {', '.join(_OPTIONS)}.")
        return cls(database, table, **options)

    @property
    def identity(self) -> str:
        """The table as the service knows it. The service has no other id of a table."""
        return f"timestream {self.endpoint_url or self.region or ''} {self.database}.{self.table}"

    @property
    def bucket_name(self) -> str:
        """The bucket without the prefix."""
        assert self.bucket is not None
        return self.bucket.strip("/").partition("/")[0]

    def key(self, *names: str) -> str:
        """Return an object key, or a prefix of keys, below the bucket's prefix."""
        assert self.bucket is not None
        prefix = self.bucket.strip("/").partition("/")[2]
        return "/".join(part for part in (prefix, *names) if part)
