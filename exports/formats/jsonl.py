"""Gzipped JSON lines: an object a reading, the contract's ten columns as its keys, in their order."""

from __future__ import annotations

import polars as pl

from exports.formats.gzip_text import GzipText
from readings import frame


def _rows(readings: pl.DataFrame) -> bytes:
    return frame.with_instants_as_text(readings).select(frame.COLUMNS).write_ndjson().encode()


JSONL = GzipText(name="jsonl", extension="jsonl.gz", head=b"", rows=_rows)
