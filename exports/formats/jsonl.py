"""JSON lines, compressed with gzip: one object for each reading, with its columns in order."""

from __future__ import annotations

from typing import BinaryIO

import polars as pl

from exports.formats.gzip_text import GzipText
from readings import frame


def _lines(readings: pl.DataFrame, file: BinaryIO) -> None:
    frame.with_instants_as_text(readings).write_ndjson(file)


JSONL = GzipText(name="jsonl", extension="jsonl.gz", first_line=lambda _: b"", to_lines=_lines)
