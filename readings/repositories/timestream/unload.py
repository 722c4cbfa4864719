"""An extract made by the service's own nodes: one UNLOAD into the bucket, its files read by any process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.base import Extract, RepositoryUnavailableError
from readings.repositories.chunks import split_into_chunks
from readings.repositories.minute_index import COUNTS_SCHEMA
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients, telling_what_failed
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.snapshot import with_measure_name
from readings.repositories.timestream.sql import STRETCH, Statements
from readings.window import Window

UNLOADS = "unloads"
"""Below the bucket's prefix, where extracts lie: ``unloads/<key>/…``."""
STRETCH_READINGS = 500_000
"""About how many readings lie in a folder of an extract, up to the number of folders there may be."""
MOST_STRETCHES = 100
"""By the service's limit on partitions."""
_IN_FOLDER = re.compile(rf"/{STRETCH}=(\d+)/")
_DELETED_AT_ONCE = 1000


class Unloader:
    """Makes extracts of one table, finds them again, removes them."""

    def __init__(
        self, address: Address, clients: Clients, queries: Queries, statements: Statements
    ) -> None:
        self._address = address
        self._clients = clients
        self._queries = queries
        self._statements = statements

    def unload(self, window: Window, counts: pl.DataFrame, key: str) -> UnloadedExtract:
        """Unload the window below ``key``.

        ``counts`` (by minute, as of ``Snapshot.counts``) tells where to divide it; the extract holds
        what the service found, whether it is as many or not. Raises :class:`RepositoryUnavailableError`.
        """
        folder = f"s3://{self._address.bucket_name}/{self._address.key(UNLOADS, key)}/"
        [answer] = self._queries.run(self._statements.unload(window, _cuts(counts), folder))
        manifest = next((text for text in answer if text and text.endswith("_manifest.json")), None)
        if manifest is None:
            raise RepositoryUnavailableError("Timestream names no manifest of what it unloaded.")
        return self.find(manifest.removeprefix(f"s3://{self._address.bucket_name}/"))

    def find(self, name: str) -> UnloadedExtract:
        """The extract of that name. Raises :class:`RepositoryUnavailableError` when it is gone."""
        with telling_what_failed():
            answer = self._clients.s3.get_object(Bucket=self._address.bucket_name, Key=name)
            manifest = json.loads(answer["Body"].read())
        files = [result["url"] for result in manifest["result_files"]]
        return UnloadedExtract(name, _stretches(files), self._storage_options())

    def remove(self, key: str) -> None:
        """Remove every file below ``key``, and what uploads have left there."""
        self._remove(self._address.key(UNLOADS, key) + "/")

    def remove_older_than(self, instant: datetime) -> int:
        """Remove extracts last written before ``instant``; says how many files these were."""
        prefix = self._address.key(UNLOADS) + "/"
        old = [each["Key"] for each in self._objects(prefix) if each["LastModified"] < instant]
        self._delete(old)
        return len(old)

    def keys(self) -> set[str]:
        """The keys below which files lie; of a key with slashes its first part."""
        prefix = self._address.key(UNLOADS) + "/"
        return {
            each["Key"].removeprefix(prefix).partition("/")[0] for each in self._objects(prefix)
        }

    def _remove(self, prefix: str) -> None:
        self._delete([each["Key"] for each in self._objects(prefix)])
        with telling_what_failed():
            # The service's own uploads, where it was stopped in the middle.
            pages = self._clients.s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._address.bucket_name, Prefix=prefix
            )
            for upload in [each for page in pages for each in page.get("Uploads", ())]:
                self._clients.s3.abort_multipart_upload(
                    Bucket=self._address.bucket_name, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    def _objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        with telling_what_failed():
            pages = self._clients.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._address.bucket_name, Prefix=prefix
            )
            for page in pages:
                yield from page.get("Contents", ())

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
            with telling_what_failed():
                self._clients.s3.delete_objects(
                    Bucket=self._address.bucket_name, Delete={"Objects": some, "Quiet": True}
                )

    def _storage_options(self) -> dict[str, str]:
        """How Polars reaches the bucket: as boto3 does."""
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
class _Stretch:
    """Files whose readings lie between two instants, the second excluded; the last one's has no end."""

    start: datetime
    end: datetime | None
    files: list[str]

    def overlaps(self, window: Window) -> bool:
        begins_in_time = window.end is None or self.start <= window.end
        return begins_in_time and (self.end is None or self.end > window.start)


class UnloadedExtract(Extract):
    """What an UNLOAD has written; the key of its manifest is its name."""

    def __init__(self, name: str, stretches: list[_Stretch], storage: dict[str, str]) -> None:
        self.name = name
        self._stretches = stretches
        self._storage = storage

    def counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Extract.counts`."""
        minute = pl.col("time").dt.truncate("1m").alias("minute")
        none = pl.DataFrame(schema=COUNTS_SCHEMA)
        counted = [
            _collected(
                self._scan(stretch, window)
                .group_by(minute)
                .agg(pl.len().cast(pl.Int64).alias("readings"))
            )
            for stretch in self._overlapping(window)
        ]
        # A cut in the middle of a minute leaves some of it on either side.
        return (
            pl.concat([none, *counted])
            .group_by("minute")
            .agg(pl.col("readings").sum())
            .sort("minute")
        )

    def frames(self, window: Window) -> Iterator[pl.DataFrame]:
        """See :meth:`Extract.frames`. A frame is what the window has of one stretch."""
        for stretch in self._overlapping(window):
            readings = frame.in_order(with_measure_name(_collected(self._scan(stretch, window))))
            if len(readings):
                yield readings

    def _overlapping(self, window: Window) -> list[_Stretch]:
        return [stretch for stretch in self._stretches if stretch.overlaps(window)]

    def _scan(self, stretch: _Stretch, window: Window) -> pl.LazyFrame:
        instants = pl.col("time", "arrival_time")
        readings = pl.scan_parquet(
            stretch.files, storage_options=self._storage, hive_partitioning=False
        )
        return readings.with_columns(
            # Written without a zone, finer than ours.
            instants.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        ).filter(window.predicate())


def _collected(readings: pl.LazyFrame) -> pl.DataFrame:
    try:
        return readings.collect(engine="streaming")
    except (OSError, pl.exceptions.ComputeError) as error:
        raise RepositoryUnavailableError(f"An unloaded file cannot be read: {error}") from error


def _cuts(counts: pl.DataFrame) -> list[datetime]:
    """Where to divide a window: at whole minutes, into stretches of as many readings each."""
    total = int(counts["readings"].sum())
    stretches = min(MOST_STRETCHES, total // STRETCH_READINGS + 1)
    each = max(1, -(-total // stretches))
    return [chunk.start for chunk in split_into_chunks(counts, each)[1:]]


def _stretches(files: list[str]) -> list[_Stretch]:
    by_start: dict[datetime, list[str]] = {}
    for file in files:
        folder = _IN_FOLDER.search(file)
        if folder is None:
            raise RepositoryUnavailableError(f"{file} lies outside the folders of an extract.")
        start = datetime.fromtimestamp(int(folder[1]), tz=UTC)
        by_start.setdefault(start, []).append(file)
    starts = sorted(by_start)
    return [
        _Stretch(start, end, by_start[start])
        for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]
