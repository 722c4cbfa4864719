"""The texts of a Timestream result become the values of a data frame."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.timestream.queries import Queries

SCHEMA = {"time": frame.INSTANT, "device_id": pl.String(), "load": pl.Int64(), "kw": pl.Float64()}


def frame_of(*pages: list[list[str | None]]) -> pl.DataFrame:
    """Return the frame of a result with these pages of rows of texts. None is a value that is missing."""
    answers = [
        {
            "QueryId": "1",
            "Rows": [
                {"Data": [{"NullValue": True} if t is None else {"ScalarValue": t} for t in row]}
                for row in page
            ],
            **({} if number == len(pages) else {"NextToken": str(number)}),
        }
        for number, page in enumerate(pages, 1)
    ]
    answer = iter(answers)
    clients: Any = SimpleNamespace(query=SimpleNamespace(query=lambda **_: next(answer)))
    return Queries(clients).frame("SELECT …", SCHEMA)


def test_each_column_has_its_type() -> None:
    found = frame_of([["2023-02-27 16:00:00.123456789", "a", "18", "-0.25"]])
    assert found.schema == pl.Schema(SCHEMA)
    assert found.rows() == [(datetime(2023, 2, 27, 16, 0, 0, 123456, UTC), "a", 18, -0.25)]


def test_a_missing_value_is_null() -> None:
    found = frame_of([[None, "a", None, "1.5"], ["2023-02-27 16:00:00.000000000", "b", "1", None]])
    assert found.rows() == [
        (None, "a", None, 1.5),
        (datetime(2023, 2, 27, 16, tzinfo=UTC), "b", 1, None),
    ]


def test_pages_with_and_without_rows_follow_each_other() -> None:
    found = frame_of([], [["2023-02-27 16:00:00.000000000", "a", "1", "1"]], [])
    assert found["device_id"].to_list() == ["a"]


def test_a_result_without_rows_has_the_columns() -> None:
    assert frame_of([]).equals(pl.DataFrame(schema=SCHEMA))
