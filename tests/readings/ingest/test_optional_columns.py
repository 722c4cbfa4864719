"""The columns that a file need not have, and the values that may be empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError

from readings import frame
from readings.ingest import csv_blocks
from readings.ingest.csv_blocks import has_shorter_row
from readings.repositories import ReadingsRepository
from tests.readings.ingest.loading import GOOD, HEADER, METER, load
from tests.readings.ingest.stored_readings import all_readings

pytestmark = pytest.mark.django_db

NMI = "6407000000"


def write(file: Path, header: str, *rows: str) -> Path:
    file.write_text("\n".join([header, *rows, ""]))
    return file


def as_csv(readings: pl.DataFrame, file: Path) -> Path:
    readings.write_csv(file)
    return file


def as_parquet(readings: pl.DataFrame, file: Path) -> Path:
    readings.write_parquet(file)
    return file


@pytest.mark.parametrize("write_file", [as_csv, as_parquet])
def test_a_file_may_have_only_one_measure(
    store: ReadingsRepository, tmp_path: Path, write_file: Callable[[pl.DataFrame, Path], Path]
) -> None:
    rows = pl.DataFrame(
        {
            "time": ["2024-03-05 10:00", "2024-03-05 10:15"],
            "device_id": [6407000000, 6407000000],
            "kwh": [0.1256, -2.5],
        }
    )
    summary = load(write_file(rows, tmp_path / "energy"))
    assert "2 new readings, 0 already stored, 1 value rounded to 3 decimals" in summary
    stored = all_readings(store, frame.FULL_COLUMNS)
    assert stored["kwh"].to_list() == [0.126, -2.5]
    assert stored["device_id"].unique().to_list() == [NMI]
    others = [name for name in (*frame.MEASURES, "quality") if name != "kwh"]
    assert stored.select(others).null_count().row(0) == (2,) * len(others)


def test_a_zero_is_stored_without_a_sign(store: ReadingsRepository, tmp_path: Path) -> None:
    rows = [f"2024-03-05 10:0{n},{METER},{value}" for n, value in enumerate(("-0.0004", "-0", "0"))]
    load(write(tmp_path / "zero.csv", "time,device_id,kwh", *rows))
    stored = all_readings(store, frame.FULL_COLUMNS).select("kwh")
    assert stored.write_csv() == "kwh\n0.0\n0.0\n0.0\n"


def test_further_columns_are_read_under_any_name(store: ReadingsRepository, tmp_path: Path) -> None:
    file = write(
        tmp_path / "all.csv",
        f"{HEADER},energy,import_kwh,export_kwh,state",
        f"{GOOD},1.5,999999.9994,0,Measured",
        f"{GOOD.replace('16:00', '16:05')},,,,",
    )
    options = ["--column", "energy=kwh", "--column", "state=quality"]
    summary = load(file, *options)
    assert "1 value rounded" in summary
    assert "implausible" not in summary
    columns = ["kw", *frame.FURTHER_SCHEMA]
    assert all_readings(store, columns).rows() == [
        (17.674, 1.5, 999999.999, 0.0, "measured"),
        (17.674, None, None, None, None),
    ]
    write(file, f"{HEADER},energy,state", f"{GOOD},x,OK")
    with pytest.raises(CommandError, match=r"line 2: kwh 'x' is not a number; quality 'OK'") as bad:
        load(file, *options)
    assert "--ignore 'state'" in str(bad.value)


@pytest.mark.parametrize(("kwh", "notes"), [("1000000", 0), ("-1000001", 1), ("99999999999", 1)])
def test_more_energy_than_an_interval_can_have_is_loaded_and_named(
    store: ReadingsRepository, tmp_path: Path, kwh: str, notes: int
) -> None:
    row = f"2024-03-05 10:00,{NMI},{kwh}"
    summary = load(write(tmp_path / "may.csv", "time,device_id,kwh", row))
    named = f"implausible: line 2: kwh {float(kwh)} is too much for one interval"
    assert summary.count(named) == summary.count("implausible") == notes
    assert all_readings(store, ["kwh"]).item() == float(kwh)


@pytest.mark.parametrize("register", ["-1", "1000000"])
def test_a_register_that_no_meter_shows_is_loaded_and_named(
    store: ReadingsRepository, tmp_path: Path, register: str
) -> None:
    row = f"2024-03-05 10:00,{NMI},{register}"
    summary = load(write(tmp_path / "may.csv", "time,device_id,import_kwh", row))
    assert f"implausible: line 2: import_kwh {float(register)} is not a register" in summary
    assert all_readings(store, ["import_kwh"]).item() == float(register)


@pytest.mark.parametrize(
    ("columns", "rows", "stored"),
    [
        (
            ["kwh", "kw"],
            [",1", "2,", '"",3', " ,4"],
            [(None, 1.0), (2.0, None), (None, 3.0), (None, 4.0)],
        ),
        (
            ["kwh", "quality"],
            ["1,", ",missing", "5,Measured"],
            [(1.0, None), (None, "missing"), (5.0, "measured")],
        ),
        (["quality"], ["missing", "MISSING"], [("missing",), ("missing",)]),
    ],
)
def test_values_may_be_empty(
    store: ReadingsRepository,
    tmp_path: Path,
    columns: list[str],
    rows: list[str],
    stored: list[tuple[object, ...]],
) -> None:
    lines = [f"2024-03-05 10:{number:02},{NMI},{row}" for number, row in enumerate(rows)]
    load(write(tmp_path / "may.csv", f"time,device_id,{','.join(columns)}", *lines))
    assert all_readings(store, columns).rows() == stored


@pytest.mark.parametrize(
    ("columns", "row"),
    [("kwh,kw", ","), ("kwh,quality", ","), ("kwh,quality", ",estimated"), ("kwh,kw", " ,-999")],
)
def test_a_row_without_a_measure_is_bad_unless_its_quality_is_missing(
    store: ReadingsRepository, tmp_path: Path, columns: str, row: str
) -> None:
    rows = [f"2024-03-05 10:00,{NMI},1,", f"2024-03-05 10:05,{NMI},{row}"]
    file = write(tmp_path / "may.csv", f"time,device_id,{columns}", *rows)
    with pytest.raises(CommandError, match=r"line 3: every measure is empty, .* quality missing"):
        load(file, "--missing", "-999")
    assert all_readings(store).is_empty()


def test_a_number_that_cannot_be_read_is_no_empty_value(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    rows = [f"2024-03-05 10:00,{NMI},,1", f"2024-03-05 10:05,{NMI},n/a,"]
    file = write(tmp_path / "may.csv", "time,device_id,kwh,kw", *rows)
    with pytest.raises(CommandError) as bad:
        load(file)
    assert str(bad.value).splitlines()[1:] == ["  line 3: kwh 'n/a' is not a number"]


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_row_that_is_cut_off_has_no_empty_values(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.setattr(csv_blocks, "_MAX_LINES", 2)
    rows = [f"2024-03-05 10:{minute},{quote}{METER}{quote},1," for minute in (10, 20, 30)]
    file = tmp_path / "cut.csv"
    file.write_text("\n".join(["time,device_id,kwh,quality", *rows])[:-2])
    with pytest.raises(CommandError, match="line 4: 3 values, but the header has 4"):
        load(file)
    assert all_readings(store).is_empty()


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("a,b,c\n\n\r\na,,\n", False),
        ("a,b,c\na,b\n", True),
        ("a,b,c\na", True),
        ("x\na,b,c\n", True),
        ('a,"b\n,",c\n', False),
        ('"a,b",c\n', True),
        ("a,b,c,,\na,b,\r\n", False),
        ('"' + "a" * 200_000 + '",b,c\n', False),
    ],
)
def test_rows_are_shorter_if_they_have_fewer_values(block: str, expected: bool) -> None:
    assert has_shorter_row(block.encode(), ",", 3) == expected
