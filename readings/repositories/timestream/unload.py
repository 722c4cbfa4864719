"""Extracts that the service writes itself: one UNLOAD into the bucket, whose files any process can read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.base import Extract
from readings.repositories.chunks import split_into_chunks
from readings.repositories.minute_index import MINUTE_COUNTS_SCHEMA, count_by_minute
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import CALL_SECONDS, Clients, translate_aws_errors
from readings.repositories.timestream.minute_reader import MAX_METERS_PER_QUERY, with_measure_name
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.sql import CHUNK_COLUMN, STORED_SCHEMA, Statements
from readings.repository_errors import RepositoryUnavailableError
from readings.window import Window

FOLDER = "unloads"
"""Below the bucket's prefix, extracts are in ``unloads/<key>/…``."""
CHUNK_READINGS = 500_000
"""About how many readings a chunk (a folder of an extract) holds, unless there would be too many chunks."""
MAX_CHUNKS = 100
"""The service's limit on partitions."""
_CHUNK_FOLDER = re.compile(rf"/{CHUNK_COLUMN}=(\d+)/")
_KEYS_PER_DELETE = 1000
"""S3's limit."""


class Unloader:
    """Creates, opens and deletes the extracts of one table."""

    def __init__(
        self, address: TimestreamAddress, clients: Clients, queries: Queries, statements: Statements
    ) -> None:
        self._address = address
        self._clients = clients
        self._queries = queries
        self._statements = statements

    def unload(self, window: Window, counts: pl.DataFrame, key: str) -> UnloadedExtract:
        """Unload the window below ``key``.

        ``counts`` (minute counts of the window) decide where chunks start. They need not be exact: the extract
        holds every reading that the service finds. Raises :class:`RepositoryUnavailableError`.
        """
        if len(window.device_ids) > MAX_METERS_PER_QUERY:
            # One query cannot name them. The extract selects them when it is read.
            window = replace(window, device_ids=())
        url = f"s3://{self._address.bucket_name}/{self._address.key(FOLDER, key)}/"
        [row] = self._queries.rows(self._statements.unload(window, _chunk_starts(counts), url))
        manifest = next((text for text in row if text and text.endswith("_manifest.json")), None)
        if manifest is None:
            raise RepositoryUnavailableError("Timestream returned no manifest for an UNLOAD.")
        return self.open(manifest.removeprefix(f"s3://{self._address.bucket_name}/"))

    def open(self, name: str) -> UnloadedExtract:
        """Return the extract whose manifest has this key. Raises :class:`RepositoryUnavailableError` if it is gone."""
        from headend.config.aws_clients import read_body

        with translate_aws_errors():
            response = self._clients.s3.get_object(Bucket=self._address.bucket_name, Key=name)
            manifest = json.loads(read_body(response["Body"], CALL_SECONDS))
        files = [result["url"] for result in manifest["result_files"]]
        return UnloadedExtract(name, _chunks_of(files), self._storage_options())

    def delete(self, owner: str) -> None:
        """Delete every file of this owner, and the unfinished uploads of an interrupted UNLOAD."""
        prefix = self._address.key(FOLDER, owner) + "/"
        self._delete_keys([each["Key"] for each in self._objects(prefix)])
        with translate_aws_errors():
            pages = self._clients.s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._address.bucket_name, Prefix=prefix
            )
            for upload in [each for page in pages for each in page.get("Uploads", ())]:
                self._clients.s3.abort_multipart_upload(
                    Bucket=self._address.bucket_name, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    def delete_older_than(self, instant: datetime) -> int:
        """Delete the files of extracts last modified before ``instant``; return how many files were deleted."""
        prefix = self._address.key(FOLDER) + "/"
        old = [each["Key"] for each in self._objects(prefix) if each["LastModified"] < instant]
        self._delete_keys(old)
        return len(old)

    def owners(self) -> set[str]:
        """Return the owners of all extracts: the first parts of their keys."""
        prefix = self._address.key(FOLDER) + "/"
        return {
            each["Key"].removeprefix(prefix).partition("/")[0] for each in self._objects(prefix)
        }

    def _objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        with translate_aws_errors():
            pages = self._clients.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._address.bucket_name, Prefix=prefix
            )
            for page in pages:
                yield from page.get("Contents", ())

    def _delete_keys(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _KEYS_PER_DELETE):
            objects = [{"Key": key} for key in keys[start : start + _KEYS_PER_DELETE]]
            with translate_aws_errors():
                self._clients.s3.delete_objects(
                    Bucket=self._address.bucket_name, Delete={"Objects": objects, "Quiet": True}
                )

    def _storage_options(self) -> dict[str, str]:
        """Return the options with which Polars uses the same endpoint and credentials as boto3."""
        import boto3

        options = {"aws_region": self._clients.s3.meta.region_name}
        if self._address.s3_endpoint_url:
            options |= {
                "aws_endpoint_url": self._address.s3_endpoint_url,
                "aws_allow_http": "true",
                "aws_virtual_hosted_style_request": "false",
            }
        credentials = boto3.Session().get_credentials()
        if credentials is not None:
            frozen = credentials.get_frozen_credentials()
            options["aws_access_key_id"] = frozen.access_key
            options["aws_secret_access_key"] = frozen.secret_key
            if frozen.token:
                options["aws_session_token"] = frozen.token
        return options


@dataclass(frozen=True)
class _FolderChunk:
    """The files with the readings from ``start`` (inclusive) to ``end`` (exclusive; None: without end)."""

    start: datetime
    end: datetime | None
    files: list[str]

    def overlaps(self, window: Window) -> bool:
        starts_in_time = window.end is None or self.start <= window.end
        return starts_in_time and (self.end is None or self.end > window.start)


class UnloadedExtract(Extract):
    """The result of an UNLOAD. Its name is the key of its manifest."""

    def __init__(self, name: str, chunks: list[_FolderChunk], storage: dict[str, str]) -> None:
        self.name = name
        self._chunks = chunks
        self._storage = storage

    def minute_counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Extract.minute_counts`."""
        none = pl.DataFrame(schema=MINUTE_COUNTS_SCHEMA)
        scans = [self._scan(chunk, window) for chunk in self._overlapping(window)]
        # Chunks are ascending and start with a minute, so no minute is in two chunks.
        return pl.concat([none, *(_collect(count_by_minute(scan)) for scan in scans)])

    def frames(
        self, window: Window, *, columns: Sequence[str] = frame.COLUMNS
    ) -> Iterator[pl.DataFrame]:
        """See :meth:`Extract.frames`. A frame is the window's part of one chunk."""
        needed = [name for name in STORED_SCHEMA if name in frame.ORDER or name in columns]
        for chunk in self._overlapping(window):
            readings = frame.in_order(_collect(self._scan(chunk, window).select(needed)))
            if len(readings):
                yield with_measure_name(readings, columns)

    def _overlapping(self, window: Window) -> list[_FolderChunk]:
        return [chunk for chunk in self._chunks if chunk.overlaps(window)]

    def _scan(self, chunk: _FolderChunk, window: Window) -> pl.LazyFrame:
        instants = pl.col("time", "arrival_time")
        readings = pl.scan_parquet(
            chunk.files, storage_options=self._storage, hive_partitioning=False, glob=False
        )
        return readings.with_columns(
            # The service writes nanoseconds without a time zone.
            instants.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        ).filter(window.predicate())


def _collect(query: pl.LazyFrame) -> pl.DataFrame:
    try:
        return query.collect(engine="streaming")
    except (OSError, pl.exceptions.ComputeError) as error:
        raise RepositoryUnavailableError(f"An unloaded file cannot be read: {error}") from error


def _chunk_starts(counts: pl.DataFrame) -> list[datetime]:
    """Return the starts of all chunks but the first, so that chunks hold about equally many readings."""
    total = int(counts["readings"].sum())
    chunks = min(MAX_CHUNKS, total // CHUNK_READINGS + 1)
    size = max(1, -(-total // chunks))
    return [chunk.start for chunk in split_into_chunks(counts, size)[1:]]


def _chunks_of(files: list[str]) -> list[_FolderChunk]:
    by_start: dict[datetime, list[str]] = {}
    for file in files:
        folder = _CHUNK_FOLDER.search(file)
        if folder is None:
            raise RepositoryUnavailableError(f"{file} is outside the folders of an extract.")
        start = datetime.fromtimestamp(int(folder[1]), tz=UTC)
        by_start.setdefault(start, []).append(file)
    starts = sorted(by_start)
    return [
        _FolderChunk(start, end, by_start[start])
        for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]
