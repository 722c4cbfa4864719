"""What ``READINGS_URL=timestream://database/table?…`` says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

_NAME = re.compile(r"[A-Za-z0-9_.-]{3,256}")
_OPTIONS = ("region", "bucket", "endpoint_url", "s3_endpoint_url")


@dataclass(frozen=True)
class Address:
    """A table, and the bucket that Timestream may unload to and load from.

    ``bucket`` is ``bucket`` or ``bucket/prefix``, in the table's account and region. The endpoints
    are for servers other than AWS's own.
    """

    database: str
    table: str
    region: str | None = None
    bucket: str | None = None
    endpoint_url: str | None = None
    s3_endpoint_url: str | None = None

    @classmethod
    def of(cls, url: str) -> Address:
        """Read the URL. Raises ``ValueError`` with a sentence that says what is wrong with it."""
        parts = urlsplit(url)
        database, table = parts.netloc, parts.path.strip("/")
        for name in (database, table):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no name of a database or table of Timestream; "
                    "it takes timestream://database/table?region=…"
                )
        given = dict(parse_qsl(parts.query))
        for option in given.keys() - set(_OPTIONS):
            raise ValueError(f"{option} is not known; it takes {', '.join(_OPTIONS)}.")
        return cls(database, table, **given)

    @property
    def bucket_name(self) -> str:
        """The bucket without the prefix."""
        assert self.bucket is not None
        return self.bucket.strip("/").partition("/")[0]

    def key(self, *names: str) -> str:
        """An object's key, or the beginning of some, below the bucket's prefix."""
        assert self.bucket is not None
        prefix = self.bucket.strip("/").partition("/")[2]
        return "/".join(part for part in (prefix, *names) if part)
