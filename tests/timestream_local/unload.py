"""UNLOAD: a query's rows as files in a bucket, with the manifest and the metadata beside them."""

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
from tests.timestream_local.dialect import transpiled
from tests.timestream_local.protocol import invalid
from tests.timestream_local.scanned import bytes_scanned

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
"""With the defaults that AWS documents."""
MOST_PARTITIONS = 100
_PIECE_ROWS = 2_000
"""Small, so that a client meets more files than one; the service's own sizes are not documented."""
_MOST_PIECES = 4


@dataclass(frozen=True)
class _Unload:
    select: str
    bucket: str
    folder: str
    options: dict[str, str]
    partitions: list[str]


class Unloader:
    """Writes to the buckets of one S3 server."""

    def __init__(self, catalog: Catalog, bucket: Bucket) -> None:
        self._catalog = catalog
        self._bucket = bucket

    def run(
        self, query_id: str, text: str, cursor: duckdb.DuckDBPyConnection
    ) -> tuple[pa.Table, int]:
        """Unload; the answer is one row, of the count and where the two descriptions lie."""
        asked = _read(text)
        query = transpiled(asked.select, self._catalog)
        scanned = bytes_scanned(query, self._catalog, cursor)
        rows = pl.DataFrame(cursor.execute(query.sql("duckdb")).to_arrow_table())
        if rows.columns[len(rows.columns) - len(asked.partitions) :] != asked.partitions:
            raise invalid(
                "The columns of partitioned_by have to be the last of the SELECT, in order."
            )
        folder = asked.folder.strip("/")
        files = [
            self._put(asked, f"{folder}/results/{place}{query_id}_{uuid.uuid4()}", piece)
            for place, piece in _pieces(rows, asked.partitions)
        ]
        base = f"{folder}/{query_id}_{uuid.uuid4()}"
        manifest = {
            "result_files": files,
            "query_metadata": {
                "content_length_in_bytes": sum(
                    f["file_metadata"]["content_length_in_bytes"] for f in files
                ),
                "total_row_count": len(rows),
                "result_format": asked.options["format"],
                "result_version": "Amazon Timestream version 1.0.0",
            },
            "author": {"name": "Amazon Timestream", "manifest_file_version": "1.0"},
        }
        columns = [
            {"Name": name, "Type": {"ScalarType": str(kind).upper()}}
            for name, kind in rows.schema.items()
        ]
        told = {}
        for name, content in (("metadata", {"ColumnInfo": columns}), ("manifest", manifest)):
            key = f"{base}_{name}.json"
            self._bucket.put(asked.bucket, key, json.dumps(content).encode())
            told[name] = f"s3://{asked.bucket}/{key}"
        answer = {
            "rows": [len(rows)],
            "metadataFile": [told["metadata"]],
            "manifestFile": [told["manifest"]],
        }
        return pa.table(answer), scanned

    def _put(self, asked: _Unload, key: str, piece: pl.DataFrame) -> dict[str, Any]:
        if asked.options["format"] == "PARQUET":
            content, suffix = _parquet(piece), "parquet"
        elif asked.options["compression"] == "GZIP":
            content, suffix = gzip.compress(_csv(piece, asked.options)), "gz"
        else:
            content, suffix = _csv(piece, asked.options), "csv"
        self._bucket.put(asked.bucket, f"{key}.{suffix}", content)
        return {
            "url": f"s3://{asked.bucket}/{key}.{suffix}",
            "file_metadata": {"content_length_in_bytes": len(content), "row_count": len(piece)},
        }


def _read(text: str) -> _Unload:
    found = _STATEMENT.fullmatch(text)
    if found is None:
        raise invalid(
            "The UNLOAD statement is not UNLOAD (SELECT …) TO 's3://bucket/folder' WITH (…)."
        )
    options = dict(_OPTIONS)
    rest = found["options"] or ""
    while rest.strip():
        option = _OPTION.match(rest)
        if option is None or option[1].lower() not in _OPTIONS:
            raise invalid(f"UNLOAD does not take the option {rest.strip()[:40]}.")
        options[option[1].lower()] = option[2].strip("'")
        rest = rest[option.end() :]
    options["format"] = options["format"].upper()
    options["compression"] = options["compression"].upper()
    if options["format"] not in ("CSV", "PARQUET"):
        raise invalid(f"UNLOAD knows no format {options['format']}.")
    partitions = re.findall(r"'([^']+)'", options["partitioned_by"])
    return _Unload(found["select"], found["bucket"], found["folder"], options, partitions)


def _pieces(rows: pl.DataFrame, partitions: list[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Files' rows with the folders they go into.

    The order of rows is lost, as between the nodes of the service; AWS promises none.
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
    if len(groups) > MOST_PARTITIONS:
        raise invalid(f"UNLOAD makes {MOST_PARTITIONS} partitions at most.")
    for folder, group in groups:
        shuffled = group.sample(fraction=1, shuffle=True, seed=random.randrange(2**32))
        pieces = min(_MOST_PIECES, len(shuffled) // _PIECE_ROWS + 1)
        size = max(1, -(-len(shuffled) // pieces))
        yield from ((folder, piece) for piece in shuffled.iter_slices(size))


def _parquet(piece: pl.DataFrame) -> bytes:
    instants = pl.col(pl.Datetime).cast(pl.Datetime("ns"))
    file = io.BytesIO()
    parquet.write_table(piece.with_columns(instants).to_arrow(), file)
    return file.getvalue()


def _csv(piece: pl.DataFrame, options: dict[str, str]) -> bytes:
    instants = pl.col(pl.Datetime).dt.strftime("%Y-%m-%d %H:%M:%S%.6f000")
    return (
        piece.with_columns(instants)
        .write_csv(
            include_header=options["include_header"].lower() == "true",
            separator=options["field_delimiter"].replace("\\t", "\t"),
        )
        .encode()
    )
