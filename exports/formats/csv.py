"""CSV, compressed with gzip: a header line, no quoting, ``\\n`` line ends, an empty field for null."""

from __future__ import annotations

from typing import BinaryIO

import polars as pl

from exports.formats.gzip_text import GzipText
from readings import frame


def _lines(readings: pl.DataFrame, file: BinaryIO) -> None:
    frame.with_instants_as_text(readings).write_csv(file, include_header=False, quote_style="never")


CSV = GzipText(
    name="csv",
    extension="gz",
    first_line=lambda columns: (",".join(columns) + "\n").encode(),
    to_lines=_lines,
)
