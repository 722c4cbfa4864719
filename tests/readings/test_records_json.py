"""The JSON text of a page's records, byte by byte as Polars writes the same records with instants as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings import frame
from readings.records_json import numbered_json, record_texts, records_json
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PAGE = readings_for(Fleet(devices=20), NOON).select(frame.COLUMNS).with_row_index("offset", 101)
LATER = NOON + timedelta(seconds=1.5)
LIKE_A_KEY = [
    'a","device_id":"b', '","device_id":', '\\","time":"', '"},{"time":"', "a},{", "é \U0001f600"
]  # fmt: skip
"""Device ids that look like the text between two values."""


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(PAGE, id="one interval"),
        pytest.param(PAGE.head(1), id="one reading"),
        pytest.param(PAGE.clear(), id="no readings"),
        pytest.param(PAGE.with_columns(arrival_time=pl.lit(LATER)), id="all late"),
        pytest.param(
            PAGE.with_columns(arrival_time=pl.col("time").shift(1, fill_value=LATER)), id="one late"
        ),
        pytest.param(pl.concat([PAGE, PAGE.with_columns(time=pl.lit(LATER))]), id="two times"),
        pytest.param(PAGE.head(6).with_columns(device_id=pl.Series(LIKE_A_KEY)), id="odd ids"),
        pytest.param(PAGE.with_columns(kw=None, pf=1e300, vltg=-0.0), id="odd numbers"),
        pytest.param(PAGE.select("offset", "kw", "time"), id="chosen columns"),
        pytest.param(PAGE.select("offset", "device_id", "arrival_time"), id="another order"),
    ],
)
def test_records_are_written_as_polars_writes_them(records: pl.DataFrame) -> None:
    instants = frame.INSTANT
    text = pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    records = records.with_columns(pl.selectors.datetime().cast(instants))
    assert records_json(records) == records.with_columns(text).write_json().encode()


@pytest.mark.parametrize("device_ids", [PAGE["device_id"], (LIKE_A_KEY * 4)[:20]])
def test_records_are_the_same_if_their_text_was_written_before_their_numbers(
    device_ids: pl.Series | list[str],
) -> None:
    records = PAGE.with_columns(
        pl.Series("device_id", device_ids),
        pl.col("time", "arrival_time").cast(frame.INSTANT),
        kw=None,
        pf=1e300,
    ).cast({"offset": pl.Int64})
    texts = record_texts(records.drop("offset"))
    assert numbered_json(texts, 101) == records_json(records)


def test_the_records_stay_a_data_frame_with_all_columns() -> None:
    records = PAGE.clone()
    records_json(records)
    assert records.equals(PAGE)
