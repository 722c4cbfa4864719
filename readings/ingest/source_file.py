"""Read a file from outside: CSV, compressed CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import polars as pl

from readings import frame
from readings.ingest.columns import ColumnOptions, Columns, map_columns
from readings.ingest.container import PARQUET_MAGIC, first_bytes, plain_text
from readings.ingest.csv_blocks import (
    MAX_ROW_BYTES,
    RowTooLongError,
    blocks_of_rows,
    bounded_lines,
    has_shorter_row,
)
from readings.ingest.row_validation import ROW, BadFileError
from readings.ingest.stop_request import stop_at_once
from readings.ingest.value_parsing import NUMBER_TYPES, parse_numbers

BATCH_ROWS = 60_000
_SEPARATORS = (";", "\t", "|")
_MAX_HEADER_BYTES = 100_000
_MAX_BLANK_LINES = 1000
"""How many lines after the header are searched for the first row."""
_EXTRA = "\0extra "
"""The beginning of the names of columns that are not in the header: rows may end with more separators than it has."""
_MAX_EXTRA = 100
"""How many separators a row may have after the last column of the header."""


class SourceFile:
    """A file with readings. Its first bytes decide its kind, not its name."""

    def __init__(self, path: Path, options: ColumnOptions, folder: Path) -> None:
        """Open the file to find its kind. Compressed text is copied into ``folder``.

        Raises :class:`BadFileError` if it cannot be opened, is empty, or is of a kind that cannot be imported.
        """
        first = first_bytes(path)
        self._options = options
        self._has_plain_numbers = not (options.decimal_comma or options.missing)
        self._is_parquet = first.startswith(PARQUET_MAGIC)
        self._path = path if self._is_parquet else plain_text(path, first, folder)

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in frames of about :data:`BATCH_ROWS`, in the order of the file, without blank rows.

        The columns have the contract's names (see :func:`map_columns`), and :data:`ROW` is added. All values are text,
        except the datetimes and numbers of a Parquet file, and the numbers of a block of CSV if all of them are valid.

        Raises :class:`BadFileError` if the file cannot be read to its end, or has the wrong columns.
        """
        if not self._is_parquet:
            self._check_header()
        try:
            frames = self._parquet_frames() if self._is_parquet else self._csv_frames()
            names, first_row = list[str](), 1
            columns: Columns | None = None
            for rows in frames:
                if columns is None:
                    names = rows.columns
                    own = [name for name in names if not name.startswith(_EXTRA)]
                    columns = map_columns(own, self._options)
                batch = rows.with_row_index(ROW, offset=first_row)
                first_row += len(rows)
                if any(_has_values(batch, name) for name in names if name.startswith(_EXTRA)):
                    raise BadFileError(
                        self._why_unreadable("a row has more values than the header")
                    )
                _refuse_values_without_a_name(batch, columns.unnamed)
                named = batch.select(ROW, *columns.names).rename(columns.names)
                yield _without_blank_rows(named)
        except RowTooLongError as error:
            raise BadFileError(f"{_NOTHING}\n  {error}.") from None
        except (pl.exceptions.PolarsError, OSError, EOFError, csv.Error) as error:
            raise BadFileError(self._why_unreadable(_first_line(error))) from None

    def places(self, rows: Collection[int]) -> dict[int, str]:
        """Return where each row is, for a message: "row 5", or "line 6" in a CSV file.

        A line is that of a text editor. It differs from the row where a quoted value contains a line end.
        """
        places = {number: f"row {number}" for number in rows}
        if self._is_parquet:
            return places
        # Python's CSV reader stops at a value of 128 KiB. The rows after it keep their row number.
        with suppress(csv.Error, RowTooLongError), stop_at_once():
            numbered = zip(range(max(rows) + 1), self._csv_rows(), strict=False)
            for number, (line, _) in numbered:
                if number in places:
                    places[number] = f"line {line}"
        return places

    def _check_header(self) -> None:
        """Raise :class:`BadFileError` if the header shows that the options do not fit the file."""
        with self._path.open("rb") as file:
            header = _first_line_with_text(file).rstrip(b"\r\n")
        if len(header) > _MAX_HEADER_BYTES:
            raise BadFileError(f"the header is longer than {_MAX_HEADER_BYTES:,} bytes.")
        text = header.decode("utf-8", errors="replace")
        if "\r" in text:
            raise BadFileError("the line ends of the file are CR only. Use LF or CRLF.")
        if self._options.separator not in text:
            for separator in _SEPARATORS:
                if separator in text:
                    raise BadFileError(
                        f"the header has no separator {self._options.separator!r}, but {separator!r}. "
                        f"Pass --separator {separator!r}."
                    )

    def _parquet_frames(self) -> Iterator[pl.DataFrame]:
        rows = pl.scan_parquet(self._path, glob=False)
        texts = rows.with_columns(
            _as_text(name, kind)
            for name, kind in rows.collect_schema().items()
            if not (isinstance(kind, pl.Datetime) or self._is_plain_number(name, kind))
        )
        yield from texts.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)

    def _is_plain_number(self, name: str, kind: pl.DataType) -> bool:
        # A Float32 has other decimals than its shortest text: 0.1 would be 0.10000000149.
        is_number = self._options.names.get(name, name) in NUMBER_TYPES
        return is_number and kind in (pl.Float64(), pl.Int64())

    def _csv_frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows, with at least one column more than the header has."""
        lines, extra = self._header_lines_and_extra_columns()
        separator = self._options.separator
        with self._path.open("rb") as file:
            header = b"".join(file.readline(MAX_ROW_BYTES) for _ in range(lines))
            names = pl.read_csv(header, infer_schema=False, separator=separator).columns
            names += [f"{_EXTRA}{number}" for number in range(extra)]
            yield pl.DataFrame(schema=dict.fromkeys(names, pl.String()))
            for block in blocks_of_rows(file):
                rows = self._rows_with_numbers(block, names)
                if rows is None:
                    rows = self._rows(block, names, {})
                self._refuse_incomplete_rows(block, rows)
                yield rows

    def _refuse_incomplete_rows(self, block: bytes, rows: pl.DataFrame) -> None:
        """Raise :class:`BadFileError` if a row ends before the last column that is read: the file may be cut off."""
        ours = (self._options.names.get(name, name) for name in rows.columns)
        last = max(
            (number for number, name in enumerate(ours) if name in frame.FULL_SCHEMA), default=0
        )
        is_full = not rows.to_series(last).null_count()
        if not is_full and has_shorter_row(block, self._options.separator, last + 1):
            raise BadFileError(self._why_unreadable("a row has fewer values than the header"))

    def _rows_with_numbers(self, block: bytes, names: list[str]) -> pl.DataFrame | None:
        """Return the rows of a block with numbers in place of their texts, or None if a number is invalid.

        Polars parses the numbers of a block in a third of the time that their texts take.
        """
        if not self._has_plain_numbers:
            return None
        ours = {name: self._options.names.get(name, name) for name in names}
        numbers = [name for name in names if ours[name] in NUMBER_TYPES]
        try:
            rows = self._rows(block, names, dict.fromkeys(numbers, pl.Float64()))
        except pl.exceptions.ComputeError:
            # A file that writes a number in another form does so in every block.
            self._has_plain_numbers = False
            return None
        for name in numbers:
            parsed = parse_numbers(rows[name].alias(ours[name]))
            if parsed.null_count() > rows[name].null_count():
                return None
        return rows

    def _rows(
        self, block: bytes, names: list[str], kinds: Mapping[str, pl.DataType]
    ) -> pl.DataFrame:
        """Return the rows of a block. Columns without a kind are texts. Raises ``ComputeError``."""
        return pl.read_csv(
            block,
            has_header=False,
            infer_schema=False,
            separator=self._options.separator,
            schema={name: kinds.get(name, pl.String()) for name in names},
            missing_columns="insert",
            raise_if_empty=False,
        )

    def _header_lines_and_extra_columns(self) -> tuple[int, int]:
        """Return how many lines end with the header, and how many columns to read after its last one."""
        separator = self._options.separator
        with self._path.open(encoding="utf-8", errors="replace", newline="") as text:
            bounded = bounded_lines(text)
            rows = csv.reader(bounded, delimiter=separator)
            next((row for row in rows if row), None)
            few = islice(bounded, _MAX_BLANK_LINES)
            first = next((line for line in few if line.strip()), "")[:_MAX_HEADER_BYTES]
        first = first.rstrip("\r\n")
        trailing = len(first) - len(first.rstrip(separator))
        return rows.line_num, min(max(1, trailing), _MAX_EXTRA)

    def _why_unreadable(self, reason: str) -> str:
        """Return why the file cannot be read. ``reason`` is that of Polars; for CSV the bad line is found."""
        if self._is_parquet:
            return f"the Parquet file cannot be read: {reason}"
        try:
            with stop_at_once():
                return self._first_bad_line() or f"the file cannot be read: {reason}"
        except UnicodeDecodeError:
            return "the file is not UTF-8 text."
        except OSError as read_error:
            return f"the file cannot be read to its end: {_first_line(read_error)}"
        except (csv.Error, RowTooLongError) as csv_error:
            return f"the file cannot be read: {_first_line(csv_error)}"

    def _first_bad_line(self) -> str | None:
        rows = self._csv_rows()
        header = next(rows, None)
        if header is None:
            return "the file is empty."
        width = len(header[1])
        _, extra = self._header_lines_and_extra_columns()
        for line, row in rows:
            if any('"' in value for value in row):
                return f'{_NOTHING}\n  line {line}: a value has a quotation mark (") too many'
            if row and (len(row) < width or len(row) > width + extra or any(row[width:])):
                return f"{_NOTHING}\n  line {line}: {len(row)} values, but the header has {width}"
        return None

    def _csv_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the header and all rows after it, including blank ones, with the line on which each begins."""
        with self._path.open(encoding="utf-8", newline="") as text:
            rows = csv.reader(bounded_lines(text), delimiter=self._options.separator)
            line, header_seen = 1, False
            for row in rows:
                header_seen = header_seen or bool(row)
                if header_seen:
                    yield line, row
                line = rows.line_num + 1


_NOTHING = "nothing was imported from this file."
_UUID_BYTES = 16


def _first_line_with_text(file: BinaryIO) -> bytes:
    """Return the first line that is not blank, or empty bytes. A long line is cut after :data:`_MAX_HEADER_BYTES`."""
    while line := file.readline(_MAX_HEADER_BYTES + 1):
        if line.strip():
            return line
    return b""


def _as_text(name: str, kind: pl.DataType) -> pl.Expr:
    """Return a column of a Parquet file as text. Sixteen bytes are a UUID."""
    column = pl.col(name)
    if kind != pl.Binary():
        return column.cast(pl.String)
    is_uuid = column.bin.size() == _UUID_BYTES
    return (
        pl.when(is_uuid)
        .then(column.bin.encode("hex"))
        .otherwise(column.cast(pl.String, strict=False))
    )


def _refuse_values_without_a_name(rows: pl.DataFrame, unnamed: Collection[str]) -> None:
    """Raise :class:`BadFileError` if a column without a name has values."""
    for name in unnamed:
        if _has_values(rows, name):
            raise BadFileError(
                f"column {rows.columns.index(name)} has values, but no name in the header."
            )


def _without_blank_rows(rows: pl.DataFrame) -> pl.DataFrame:
    if any(not rows[name].null_count() for name in rows.columns if name != ROW):
        return rows
    return rows.filter(pl.any_horizontal(pl.exclude(ROW).is_not_null()))


def _has_values(rows: pl.DataFrame, name: str) -> bool:
    return rows[name].null_count() < rows.height


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
