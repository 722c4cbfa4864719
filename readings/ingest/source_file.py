"""Read a file from outside: CSV, gzip CSV or Parquet."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import polars as pl

from readings.ingest.row_validation import ROW, BadFileError, map_columns

BATCH_ROWS = 200_000
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class SourceFile:
    """A file with readings. Its first bytes decide its kind, not its name."""

    def __init__(self, path: Path) -> None:
        """Open the file to find its kind.

        Raises :class:`BadFileError` if it cannot be opened, is empty, or is UTF-16 text.
        """
        self._path = path
        first_bytes = _first_bytes(path)
        self._is_parquet = first_bytes == _PARQUET_MAGIC
        self._is_gzip = first_bytes.startswith(_GZIP_MAGIC)

    def batches(self, column_names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
        """Yield the rows in frames of about :data:`BATCH_ROWS`, in the order of the file.

        The columns have the contract's names, by ``column_names`` (see :func:`map_columns`), and :data:`ROW`
        is added. All values are text, only the datetimes of a Parquet file stay datetimes.

        Raises :class:`BadFileError` if the file cannot be read to its end, or has the wrong columns.
        """
        try:
            rows = self._scan()
            mapped = map_columns(rows.collect_schema().names(), column_names)
            numbered = rows.rename(mapped).with_row_index(ROW, offset=1)
            yield from numbered.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
        except (pl.exceptions.PolarsError, OSError, EOFError) as error:
            raise BadFileError(self._why_unreadable(error)) from None

    def places(self, rows: Collection[int]) -> dict[int, str]:
        """Return where each row is, for a message: "row 5", or "line 6" in a CSV file.

        A line is that of a text editor. It differs from the row where a quoted value contains a line end.
        """
        places = {number: f"row {number}" for number in rows}
        if self._is_parquet:
            return places
        # Python's CSV reader stops at a value of 128 KiB. The rows after it keep their row number.
        with suppress(csv.Error):
            numbered = zip(range(max(rows) + 1), self._csv_rows(), strict=False)
            for number, (line, _) in numbered:
                if number in places:
                    places[number] = f"line {line}"
        return places

    def _scan(self) -> pl.LazyFrame:
        if not self._is_parquet:
            return pl.scan_csv(self._path, infer_schema=False)
        datetimes = pl.selectors.datetime()
        return pl.scan_parquet(self._path).with_columns(
            (pl.selectors.all() - datetimes).cast(pl.String)
        )

    def _why_unreadable(self, error: Exception) -> str:
        """Return the reason for an error of Polars. For CSV a second, slow reader finds the bad line."""
        if self._is_parquet:
            return f"the Parquet file cannot be read: {_first_line(error)}"
        try:
            rows = self._csv_rows()
            header = next(rows, None)
            if header is None:
                return "the file is empty."
            width = len(header[1])
            for line, row in rows:
                if row and len(row) != width:
                    return (
                        "nothing was imported from this file.\n"
                        f"  line {line}: {len(row)} values, but the header has {width}"
                    )
        except UnicodeDecodeError:
            return "the file is not UTF-8 text."
        except (OSError, EOFError) as read_error:
            return f"the file cannot be read to its end: {_first_line(read_error)}"
        except csv.Error as csv_error:
            return f"the file cannot be read: {_first_line(csv_error)}"
        return f"the file cannot be read: {_first_line(error)}"

    def _csv_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the header and all rows after it, also blank ones, with the line on which each begins."""
        opened = gzip.open if self._is_gzip else open
        with opened(self._path, "rt", encoding="utf-8", newline="") as text:
            rows = csv.reader(text)
            line, header_seen = 1, False
            for row in rows:
                header_seen = header_seen or bool(row)
                if header_seen:
                    yield line, row
                line = rows.line_num + 1


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            first_bytes = file.read(4)
    except OSError as error:
        raise BadFileError(f"{error.strerror}.") from None
    if not first_bytes:
        raise BadFileError("the file is empty.")
    if first_bytes.startswith(_UTF16_MARKS):
        raise BadFileError("the file is not UTF-8 text.")
    return first_bytes


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
