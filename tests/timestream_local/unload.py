"""UNLOAD: writes the rows of a query to files in a bucket, with a manifest and metadata."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from tests.timestream_local.bucket import Bucket
from tests.timestream_local.catalog import Catalog
from tests.timestream_local.dialect import translate
from tests.timestream_local.protocol import invalid
from tests.timestream_local.scanned_bytes import count_scanned_bytes

_STATEMENT = re.compile(
    r"\s*UNLOAD\s*\((?P<select>.*)\)\s*TO\s*'s3://(?P<bucket>[^/']+)/(?P<folder>[^']*)'"
    r"\s*(?:WITH\s*\((?P<options>.*)\))?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_OPTION = re.compile(
    r"\s*(\w+)\s*=\s*(ARRAY\s*\[[^\]]*\]|'(?:[^']|'')*'|\w+)\s*(?:,|$)", re.IGNORECASE
)
_OPTIONS = {
    "format": "CSV",
    "compression": "GZIP",
    "encryption": "SSE_S3",
    "kms_key": "",
    "field_delimiter": ",",
    "escaped_by": "\\",
    "include_header": "false",
    "max_file_size": "78GB",
    "partitioned_by": "",
}
"""The options with the defaults that AWS documents."""
MAX_PARTITIONS = 100
_FILE_ROWS = 2_000
"""Small, so that clients get several files. AWS does not document its sizes."""
_MAX_FILES = 4


@dataclass(frozen=True)
class _Unload:
    select: str
    bucket: str
    folder: str
    options: dict[str, str]
    partitions: list[str]


class Unloader:
    """Runs UNLOAD statements, and writes to the buckets of one S3 server."""

    def __init__(self, catalog: Catalog, bucket: Bucket) -> None:
        self._catalog = catalog
        self._bucket = bucket

    def run(
        self, query_id: str, text: str, cursor: duckdb.DuckDBPyConnection
    ) -> tuple[pa.Table, int]:
        """Run an UNLOAD. Return its row (row count, URLs of metadata and manifest) and the scanned bytes."""
        statement = _parse(text)
        query = translate(statement.select, self._catalog)
        scanned = count_scanned_bytes(query, self._catalog, cursor)
        rows = pl.DataFrame(cursor.execute(query.sql).to_arrow_table())
        if rows.columns[len(rows.columns) - len(statement.partitions) :] != statement.partitions:
            raise invalid(
                "The columns of partitioned_by must be the last columns of the SELECT, in the same order."
            )
        folder = statement.folder.strip("/")
        files = [
            self._put(
                statement, f"{folder}/results/{subfolder}{query_id}_{uuid.uuid4()}", rows_of_file
            )
            for subfolder, rows_of_file in _split(rows, statement.partitions)
        ]
        base = f"{folder}/{query_id}_{uuid.uuid4()}"
        manifest = {
            "result_files": files,
            "query_metadata": {
                "content_length_in_bytes": sum(
                    f["file_metadata"]["content_length_in_bytes"] for f in files
                ),
                "total_row_count": len(rows),
                "result_format": statement.options["format"],
                "result_version": "Amazon Timestream version 1.0.0",
            },
            "author": {"name": "Amazon Timestream", "manifest_file_version": "1.0"},
        }
        columns = [
            {"Name": name, "Type": {"ScalarType": str(kind).upper()}}
            for name, kind in rows.schema.items()
        ]
        urls = {}
        for name, content in (("metadata", {"ColumnInfo": columns}), ("manifest", manifest)):
            key = f"{base}_{name}.json"
            self._bucket.put(statement.bucket, key, json.dumps(content).encode())
            urls[name] = f"s3://{statement.bucket}/{key}"
        answer = {
            "rows": [len(rows)],
            "metadataFile": [urls["metadata"]],
            "manifestFile": [urls["manifest"]],
        }
        return pa.table(answer), scanned

    def _put(self, statement: _Unload, key: str, rows: pl.DataFrame) -> dict[str, Any]:
        if statement.options["format"] == "PARQUET":
            content, suffix = _parquet(rows), "parquet"
        elif statement.options["compression"] == "GZIP":
            content, suffix = gzip.compress(_csv(rows, statement.options)), "gz"
        else:
            content, suffix = _csv(rows, statement.options), "csv"
        self._bucket.put(statement.bucket, f"{key}.{suffix}", content)
        return {
            "url": f"s3://{statement.bucket}/{key}.{suffix}",
            "file_metadata": {"content_length_in_bytes": len(content), "row_count": len(rows)},
        }


def _parse(text: str) -> _Unload:
    match = _STATEMENT.fullmatch(text)
    if match is None:
        raise invalid(
            "The UNLOAD statement is not UNLOAD (SELECT …) TO 's3://bucket/folder' WITH (…)."
        )
    options = dict(_OPTIONS)
    rest = match["options"] or ""
    while rest.strip():
        option = _OPTION.match(rest)
        if option is None or option[1].lower() not in _OPTIONS:
            raise invalid(f"UNLOAD does not have the option {rest.strip()[:40]}.")
        options[option[1].lower()] = option[2].strip("'")
        rest = rest[option.end() :]
    options["format"] = options["format"].upper()
    options["compression"] = options["compression"].upper()
    if options["format"] not in ("CSV", "PARQUET"):
        raise invalid(f"UNLOAD does not support the format {options['format']}.")
    partitions = re.findall(r"'([^']+)'", options["partitioned_by"])
    return _Unload(match["select"], match["bucket"], match["folder"], options, partitions)


def _split(rows: pl.DataFrame, partitions: list[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of each file, with the subfolder of the file.

    The rows are shuffled, because AWS guarantees no order.
    """
    groups: list[tuple[str, pl.DataFrame]] = [("", rows)]
    if partitions:
        groups = [
            (
                "".join(f"{name}={value}/" for name, value in zip(partitions, values, strict=True)),
                group.drop(partitions),
            )
            for values, group in rows.group_by(partitions)
        ]
    if len(groups) > MAX_PARTITIONS:
        raise invalid(f"UNLOAD writes at most {MAX_PARTITIONS} partitions.")
    for folder, group in groups:
        shuffled = group.sample(fraction=1, shuffle=True, seed=random.randrange(2**32))
        files = min(_MAX_FILES, len(shuffled) // _FILE_ROWS + 1)
        size = max(1, -(-len(shuffled) // files))
        yield from ((folder, rows_of_file) for rows_of_file in shuffled.iter_slices(size))


def _parquet(rows: pl.DataFrame) -> bytes:
    instants = pl.col(pl.Datetime).cast(pl.Datetime("ns"))
    file = io.BytesIO()
    parquet.write_table(rows.with_columns(instants).to_arrow(), file)
    return file.getvalue()


def _csv(rows: pl.DataFrame, options: dict[str, str]) -> bytes:
    instants = pl.col(pl.Datetime).dt.strftime("%Y-%m-%d %H:%M:%S%.6f000")
    return (
        rows.with_columns(instants)
        .write_csv(
            include_header=options["include_header"].lower() == "true",
            separator=options["field_delimiter"].replace("\\t", "\t"),
        )
        .encode()
    )
