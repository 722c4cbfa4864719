"""The folder of a Delta table in a bucket of S3, or of a server with S3's protocol.

Three clients use the bucket: obstore for files of any kind, Polars for data files, and Delta for its log. boto3 finds
the region, the server and the credentials; all three clients get the same ones.
"""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
import polars as pl
from obstore.exceptions import AlreadyExistsError
from obstore.exceptions import BaseError as BucketError
from obstore.store import S3Store

from readings.repositories.delta.address import BucketAddress
from readings.repositories.delta.bucket_access import BucketAccess, Credentials
from readings.repositories.delta.failures import unavailable_if_it_fails
from readings.repositories.delta.folder import Folder
from readings.repository_errors import RepositoryUnavailableError

if TYPE_CHECKING:
    from obstore.store import S3Credential

_Result = TypeVar("_Result")

CONNECT_SECONDS = 5
CALL_SECONDS = 10
"""Polars repeats a call once. So if a server hangs, a page fails within its own time limit of 25 s."""
UPLOAD_SECONDS = 120
"""The time limit of an upload. Compaction writes files of about 30 MB."""
RETRY_SECONDS = 10
"""After this time, a failed call is not repeated."""
RETRIES = 4
_TIMEOUTS = {"timeout": f"{CALL_SECONDS}s", "connect_timeout": f"{CONNECT_SECONDS}s"}
"""The time limits of Delta and Polars, with the names that both use."""
_PARALLEL_CALLS = 16
_MAX_SINGLE_CALLS = 4
"""To find out which files exist, there is one call for each. If there are more files, their folder is listed."""
_PROBE = "_setup/conditional-put"


@dataclass(frozen=True)
class BucketFolder(Folder):
    """The keys of a bucket that begin with a prefix."""

    address: BucketAddress

    recheck_seconds = 1.0
    reads_ahead = 4

    @property
    def uri(self) -> str:
        """See :attr:`Folder.uri`."""
        return f"s3://{self.address.bucket}/{self.address.prefix}"

    @property
    def endpoint_url(self) -> str:
        """The address of the server, as the URL or boto3 names it."""
        return self._access.endpoint_url

    @property
    def credentials(self) -> Credentials:
        """See :attr:`Folder.credentials`."""
        return self._access.credentials()

    @property
    def options(self) -> dict[str, str]:
        """See :attr:`Folder.options`. Delta does not renew credentials, so a table is opened again with new ones."""
        return {
            **_server_options(self._access),
            **self.credentials.as_options(),
            "max_retries": str(RETRIES),
            "retry_timeout": f"{RETRY_SECONDS}s",
            **_TIMEOUTS,
            # A commit is a file that must not exist yet. So of two writers, only one creates it.
            "aws_conditional_put": "etag",
        }

    def scan(self, paths: Iterable[str], **options: Any) -> pl.LazyFrame:
        """See :meth:`Folder.scan`."""
        return pl.scan_parquet(
            list(paths),
            glob=False,
            storage_options={
                **_server_options(self._access),
                **_TIMEOUTS,
                "max_retries": RETRIES,
                "retry_timeout_ms": RETRY_SECONDS * 1000,
            },
            credential_provider=self._polars_credentials,
            **options,
        )

    def identities(self, names: Sequence[str]) -> list[Hashable]:
        """See :meth:`Folder.identities`. Returns entity tags."""
        return self._in_parallel(self._entity_tag, names)

    def existing(self, names: Iterable[str]) -> set[str]:
        """See :meth:`Folder.existing`."""
        wanted = set(names)
        if len(wanted) > _MAX_SINGLE_CALLS:
            folders = {name.rpartition("/")[0] for name in wanted}
            return wanted.intersection(*(self.names(folder) for folder in folders))
        tags = zip(wanted, self.identities(list(wanted)), strict=True)
        return {name for name, tag in tags if tag is not None}

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """See :meth:`Folder.read`."""
        return self._in_parallel(self._read, names)

    def put(self, name: str, content: bytes) -> None:
        """See :meth:`Folder.put`. One call, without an upload in several parts that could remain unfinished."""
        obstore.put(self._store, name, content, use_multipart=False)

    def put_frame(self, name: str, rows: pl.DataFrame, **options: Any) -> None:
        """See :meth:`Folder.put_frame`."""
        self.write_frame(name, rows, **options)

    def write_frame(self, name: str, rows: pl.DataFrame, **options: Any) -> int:
        """See :meth:`Folder.write_frame`."""
        content = io.BytesIO()
        rows.write_parquet(content, **options)
        with content.getbuffer() as encoded:
            obstore.put(self._upload_store, name, encoded, use_multipart=False)
            return len(encoded)

    def names(self, folder: str) -> list[str]:
        """See :meth:`Folder.names`."""
        found = obstore.list_with_delimiter(self._store, prefix=folder)
        names = (str(entry["path"]) for entry in found["objects"])
        # Some servers also list the folder itself.
        return [name for name in names if name.startswith(f"{folder}/")]

    def remove(self, names: Iterable[str]) -> None:
        """See :meth:`Folder.remove`."""
        if found := list(names):
            obstore.delete(self._store, found)

    def remove_older(self, names: Iterable[str], limit: float) -> int:
        """See :meth:`Folder.remove_older`."""
        wanted = list(names)
        changed = self._in_parallel(self._last_change, wanted)
        old = [name for name, at in zip(wanted, changed, strict=True) if at < limit]
        self.remove(old)
        return len(old)

    def check(self) -> None:
        """See :meth:`Folder.check`. Creates an object twice with ``If-None-Match: *``, and deletes it."""
        name = f"{_PROBE}-{uuid.uuid4()}"
        with unavailable_if_it_fails("The bucket cannot be used"):
            obstore.put(self._store, name, b"1", mode="create", use_multipart=False)
            try:
                obstore.put(self._store, name, b"2", mode="create", use_multipart=False)
            except AlreadyExistsError:
                # Raises an error if the permission to delete objects is missing.
                self.remove([name])
                return
        with suppress(BucketError):
            self.remove([name])
        raise RepositoryUnavailableError(
            "The server of the bucket ignores If-None-Match, so two writers could overwrite each other's readings;"
            " use a server that supports conditional writes."
        )

    def contents(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the size of every object, in all folders."""
        for entries in obstore.list(self._store):
            yield from ((str(entry["path"]), int(entry["size"])) for entry in entries)

    @cached_property
    def _access(self) -> BucketAccess:
        return BucketAccess(self.address)

    @cached_property
    def _store(self) -> S3Store:
        return self._client(CALL_SECONDS)

    @cached_property
    def _upload_store(self) -> S3Store:
        return self._client(UPLOAD_SECONDS)

    def _client(self, seconds: int) -> S3Store:
        return S3Store(
            self.address.bucket,
            prefix=self.address.prefix,
            endpoint=self._access.endpoint_url,
            region=self._access.region,
            client_options={
                "allow_http": self._access.allows_http,
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=seconds),
            },
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            },
            credential_provider=self._obstore_credentials,
        )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_PARALLEL_CALLS, thread_name_prefix="bucket")

    def _in_parallel(self, call: Callable[[str], _Result], names: Sequence[str]) -> list[_Result]:
        if len(names) == 1:
            return [call(names[0])]
        return list(self._pool.map(call, names))

    def _entity_tag(self, name: str) -> Hashable:
        try:
            return obstore.head(self._store, name)["e_tag"]
        except FileNotFoundError:
            return None

    def _read(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except FileNotFoundError:
            return None

    def _last_change(self, name: str) -> float:
        try:
            return obstore.head(self._store, name)["last_modified"].timestamp()
        except FileNotFoundError:  # another process was faster
            return math.inf

    def _obstore_credentials(self) -> S3Credential:
        found = self.credentials
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.token,
            "expires_at": datetime.fromtimestamp(found.ask_again_at, UTC),
        }

    @cached_property
    def _polars_credentials(self) -> Callable[[], tuple[dict[str, str], int]]:
        def current() -> tuple[dict[str, str], int]:
            found = self.credentials
            return found.as_options(), int(found.ask_again_at)

        # One object, because Polars opens new connections for each function that it has not seen yet.
        return current


def _server_options(access: BucketAccess) -> dict[str, str]:
    """Return the server and the region as options, with the names that Delta and Polars use."""
    return {
        "aws_endpoint_url": access.endpoint_url,
        "aws_region": access.region,
        "allow_http": str(access.allows_http).lower(),
    }
