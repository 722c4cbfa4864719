"""The records of a page as JSON text. No reading becomes a Python object."""

from __future__ import annotations

import io

import polars as pl

from readings import frame

_INSTANTS = ["time", "arrival_time"]
_NEXT_KEY = '"device_id":'
_FIRST_COLUMNS = ["offset", *_INSTANTS, "device_id"]


def records_json(records: pl.DataFrame) -> bytes:
    """Return a JSON array with an object for each row. Instants are in their canonical form."""
    if records.columns[: len(_FIRST_COLUMNS)] == _FIRST_COLUMNS:
        texts = [frame.common_text(records[name]) for name in _INSTANTS]
        if None not in texts:
            return _with_common_instants(records, texts)
    return _write(frame.with_instants_as_text(records))


def _with_common_instants(records: pl.DataFrame, texts: list[str | None]) -> bytes:
    """Return the JSON text of records which all have the same instants.

    Most pages are like this. Polars would write the same two texts for each record, which takes half of the time.
    """
    others = records.clone()
    for name in _INSTANTS:
        others.drop_in_place(name)
    common = "".join(f'"{name}":"{text}",' for name, text in zip(_INSTANTS, texts, strict=True))
    # A value cannot contain this: JSON writes a quotation mark inside of a text as \".
    key = f",{_NEXT_KEY}".encode()
    return _write(others).replace(key, f",{common}{_NEXT_KEY}".encode())


def _write(records: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    records.write_json(buffer)
    return buffer.getvalue()
