"""Which columns of a file are which columns of a reading."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from readings import frame
from readings.ingest.row_validation import BadFileError

REQUIRED_COLUMNS = ("time", "device_id")
_REPEATED = re.compile(r"(.+)_duplicated_[0-9]+")
"""The name that Polars gives to a second column with the same name."""
# Names that Polars gives to a second column without a name, and pandas to the index that it stores in Parquet.
_UNNAMED = re.compile(r"|_duplicated_[0-9]+|__index_level_[0-9]+__|Unnamed: [0-9]+")


@dataclass(frozen=True)
class ColumnOptions:
    """How a file writes its columns.

    ``names`` maps names of the file to those of the contract. ``ignored`` are columns to leave out. ``decimal_comma``
    says that numbers have a comma in place of the point. ``missing`` are numbers that stand for no value, such as
    -999. ``zone`` is the time zone of times without a UTC offset; None means UTC.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    ignored: Collection[str] = ()
    separator: str = ","
    decimal_comma: bool = False
    missing: Collection[float] = ()
    zone: str | None = None

    def name_in_file(self, column: str) -> str:
        """Return the file's name of a column of the contract."""
        theirs = (name for name, ours in self.names.items() if ours == column)
        return next(theirs, column)


@dataclass(frozen=True)
class Columns:
    """The columns of a file: the contract's name of each, and the columns without a name, which must be empty."""

    names: dict[str, str]
    unnamed: list[str]


def map_columns(columns: list[str], options: ColumnOptions) -> Columns:
    """Return the contract's name for each column of a file. A column with the same name keeps it.

    A first column without a name is the number of the row, and left out.

    Raises :class:`BadFileError` if a column is missing or unknown, if a name appears twice, or if there is neither a
    measure nor a quality.
    """
    for option, given in (("--column", options.names), ("--ignore", options.ignored)):
        absent = [name for name in given if name not in columns]
        if absent:
            raise BadFileError(f"{option}: the file has no column {', '.join(absent)}.")
    _refuse_repeated(columns, options)
    unnamed = [column for column in columns if _UNNAMED.fullmatch(column)]
    left_out = {*unnamed, *options.ignored}
    mapped = {name: options.names.get(name, name) for name in columns if name not in left_out}
    _refuse_missing_or_unknown(mapped)
    indexes = {columns[0], *(name for name in unnamed if name.startswith("__index"))}
    return Columns(mapped, [name for name in unnamed if name not in indexes])


def _refuse_repeated(columns: Collection[str], options: ColumnOptions) -> None:
    for column in columns:
        repeated = _REPEATED.fullmatch(column)
        if repeated and repeated[1] in columns and column not in {*options.names, *options.ignored}:
            raise BadFileError(
                f"the column {_shown(repeated[1])} is repeated. Rename or delete one of them in the file."
            )


def _refuse_missing_or_unknown(mapped: Mapping[str, str]) -> None:
    in_lower_case = {
        column: column.lower()
        for column, name in mapped.items()
        if name not in frame.FULL_SCHEMA
        and name.lower() in {*frame.FULL_SCHEMA} - {*mapped.values()}
    }
    if in_lower_case:
        options = " ".join(f"--column {theirs}={ours}" for theirs, ours in in_lower_case.items())
        raise BadFileError(
            f"columns have names in lower case, but the file has {', '.join(in_lower_case)}. Pass {options}."
        )
    missing = [name for name in REQUIRED_COLUMNS if name not in mapped.values()]
    if missing:
        raise BadFileError(
            f"these columns are missing: {', '.join(missing)}. "
            "If one has another name in the file, pass --column THEIRS=OURS."
        )
    unknown = [column for column, name in mapped.items() if name not in frame.FULL_SCHEMA]
    if unknown:
        options = " ".join(f"--ignore {column!r}" for column in unknown)
        raise BadFileError(
            f"these columns are not columns of a reading: {', '.join(map(_shown, unknown))}. To give one the name of a "
            f"column of a reading, pass --column THEIRS=OURS. To leave them out, pass {options}."
        )
    if not {*frame.MEASURES, "quality"} & {*mapped.values()}:
        raise BadFileError(
            f"the file has no measure: it needs at least one of the columns {', '.join(frame.MEASURES)}. "
            "If one has another name in the file, pass --column THEIRS=OURS."
        )
    if len(set(mapped.values())) < len(mapped):
        raise BadFileError("two columns have the same name.")


def _shown(name: str) -> str:
    """Return the name for a message. Characters that could control the operator's terminal are escaped."""
    return name if name.isprintable() else repr(name)
