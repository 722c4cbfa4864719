"""The options of ``manage.py load``, and what every row of a file must be."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from django.core.management import CommandError

from readings.repositories import ReadingsRepository
from tests.readings.ingest.loading import GOOD, HEADER, METER, load
from tests.readings.ingest.stored_readings import all_readings

pytestmark = pytest.mark.django_db


def test_blank_lines_are_skipped_and_counted_as_lines(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "blank.csv"
    file.write_text("\n".join([HEADER, "", GOOD, "", ",,,,,,,", ""]))
    assert "1 new reading" in load(file)
    file.write_text("\n".join([HEADER, "", GOOD, "", GOOD.replace("18", "x"), ""]))
    with pytest.raises(CommandError, match="line 5: load 'x' is not a whole number"):
        load(file)


@pytest.mark.parametrize(
    ("time", "arrival"),
    [
        ("1969-12-31 23:59", ""),
        ("2100-01-01", ""),
        (None, "2023-02-27 15:59"),
        (None, "2100-01-01"),
    ],
)
def test_instants_are_from_1970_to_ten_years_ahead_and_arrivals_are_not_before_their_time(
    store: ReadingsRepository, tmp_path: Path, time: str | None, arrival: str
) -> None:
    file = tmp_path / "instants.csv"
    row = GOOD if time is None else GOOD.replace("2023-02-27 16:00", time)
    file.write_text(f"{HEADER},arrival_time\n{row},{arrival or time}\n")
    with pytest.raises(
        CommandError, match=r"line 2: .*time '.*' is not a date like .* to ten years"
    ):
        load(file)
    assert all_readings(store).is_empty()


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, zstandard.compress])
def test_compressed_text_is_read_and_checked_to_its_end(
    store: ReadingsRepository, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "any name"
    compressed = compress(f"{HEADER}\n{GOOD}\n".encode())
    file.write_bytes(compressed)
    assert "1 new reading" in load(file)
    file.write_bytes(compressed[:-6])
    with pytest.raises(CommandError, match="cannot be read to its end"):
        load(file)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_text_that_is_not_utf8_is_refused_by_the_name_of_its_encoding(
    store: ReadingsRepository, tmp_path: Path, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "wide.csv"
    header = HEADER.replace("time", "Время")
    file.write_bytes(compress(f"{header}\n{GOOD}\n".encode(encoding)))
    with pytest.raises(CommandError, match=f"not UTF-8 text, but {encoding[:6].upper()}"):
        load(file, "--column", "Время=time")


@pytest.mark.parametrize(
    "rows",
    [
        [f"{GOOD},"],
        [f"{GOOD},,,"],
        [GOOD, f"{GOOD.replace('16:00', '16:05')},"],
        ["", f"{GOOD},", "", GOOD.replace("16:00", "16:05")],
    ],
)
def test_separators_after_the_last_value_of_a_row_are_empty_columns(
    store: ReadingsRepository, tmp_path: Path, rows: list[str]
) -> None:
    file = tmp_path / "trailing.csv"
    file.write_text("\n".join(["", HEADER, *rows, ""]))
    assert f"{sum(map(bool, rows))} new reading" in load(file)
    assert all_readings(store)["vltg"].unique().to_list() == [0.217]


@pytest.mark.parametrize(
    ("row", "values"), [(f"{GOOD},7", 9), (f"{GOOD},,7", 10), (GOOD.rpartition(",")[0], 7)]
)
def test_a_row_with_more_or_fewer_values_than_the_header_is_named(
    store: ReadingsRepository, tmp_path: Path, row: str, values: int
) -> None:
    file = tmp_path / "ragged.csv"
    file.write_text("\n".join(["", HEADER, f"{GOOD.replace('16:00', '15:00')},", row, GOOD]))
    with pytest.raises(CommandError, match=f"line 4: {values} values, but the header has 8"):
        load(file)
    assert all_readings(store).is_empty()


@pytest.mark.parametrize("separator", ["", ";;", "é"])
def test_a_separator_is_one_ascii_character(store: ReadingsRepository, separator: str) -> None:
    with pytest.raises(CommandError, match=r"--separator .* one ASCII character"):
        load("any.csv", "--separator", separator)


@pytest.mark.parametrize("column", ["kw", "kw=", "=kw", "kwh=power"])
def test_an_incomplete_column_option_is_refused(store: ReadingsRepository, column: str) -> None:
    with pytest.raises(CommandError, match="THEIRS=OURS"):
        load("any.csv", "--column", column)


def test_the_column_of_a_column_option_must_exist(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "real.csv"
    file.write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(CommandError, match="the file has no column kwh"):
        load(file, "--column", "kwh=kw")


@pytest.mark.parametrize(("column", "shown"), [("kwh", "kwh"), ("\x1b[2J", r"'\x1b[2J'")])
def test_a_repeated_column_is_refused_by_its_name_in_the_file(
    store: ReadingsRepository, tmp_path: Path, column: str, shown: str
) -> None:
    file = tmp_path / "repeated.csv"
    file.write_text(f"time,device_id,{column},{column}\n2024-03-05 10:00,{METER},1,2\n")
    with pytest.raises(CommandError) as raised:
        load(file)
    assert f"the column {shown} is repeated" in str(raised.value)
    assert "duplicated" not in str(raised.value)


def test_columns_in_upper_case_are_refused_with_the_options_that_rename_them(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "upper.csv"
    file.write_text(f"Time,Device_ID,kWh\n2024-03-05 10:00,{METER},1\n")
    options = "--column Time=time --column Device_ID=device_id --column kWh=kwh"
    with pytest.raises(CommandError, match=f"the file has Time, Device_ID, kWh. Pass {options}"):
        load(file)
    assert "1 new reading," in load(file, *options.split())
