"""``manage.py load``: import readings from files. Of each file, all rows or none are imported."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError
from django.db import OperationalError

from readings import frame
from readings.ingest import file_import, source_file
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.readings.ingest.loading import GOOD, HEADER, METER, load
from tests.readings.ingest.stored_readings import all_readings

pytestmark = pytest.mark.django_db

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FLEET = Fleet(devices=50)


@pytest.fixture
def readings() -> pl.DataFrame:
    """Twelve intervals of 50 meters: 600 readings, as a utility might have them."""
    times = FLEET.intervals(START, START + 11 * FLEET.interval)
    return pl.concat([readings_for(FLEET, time) for time in times])


def test_the_totals_of_a_file_are_stored_at_once(
    store: ReadingsRepository, readings: pl.DataFrame, tmp_path: Path
) -> None:
    other = START - timedelta(days=1)
    IntervalTotals.objects.create(time=other, readings=7, late=0, kw=1.0)
    load(as_csv(readings, tmp_path / "may.csv"))
    totals = dict(IntervalTotals.objects.values_list("time", "readings"))
    expected = dict.fromkeys(FLEET.intervals(START, START + 11 * FLEET.interval), 50)
    assert totals == expected | {other: 7}


def test_a_file_is_loaded_while_the_database_cannot_be_used(
    store: ReadingsRepository,
    readings: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: object) -> int:
        raise OperationalError("database is locked")

    monkeypatch.setattr("readings.totals.update_totals", refuse)
    assert "600 new readings" in load(as_csv(readings, tmp_path / "may.csv"))


def as_csv(readings: pl.DataFrame, file: Path) -> Path:
    frame.with_instants_as_text(readings).write_csv(file)
    return file


def as_gzip_csv(readings: pl.DataFrame, file: Path) -> Path:
    text = frame.with_instants_as_text(readings).write_csv()
    file.write_bytes(gzip.compress(text.encode()))
    return file


def as_parquet(readings: pl.DataFrame, file: Path) -> Path:
    readings.write_parquet(file)
    return file


def as_foreign_parquet(readings: pl.DataFrame, file: Path) -> Path:
    """Write what other tools write: nanoseconds without a time zone, and 32-bit numbers."""
    readings.with_columns(
        pl.col("time", "arrival_time").dt.replace_time_zone(None).cast(pl.Datetime("ns")),
        pl.col("load").cast(pl.Int32),
    ).write_parquet(file)
    return file


@pytest.mark.parametrize("write", [as_csv, as_gzip_csv, as_parquet, as_foreign_parquet])
def test_each_kind_of_file_gives_the_same_readings(
    store: ReadingsRepository,
    readings: pl.DataFrame,
    tmp_path: Path,
    write: Callable[[pl.DataFrame, Path], Path],
) -> None:
    file = write(readings.sample(fraction=1, shuffle=True, seed=3), tmp_path / "real")
    assert "600 new readings, 0 already stored" in load(file)
    assert all_readings(store).equals(readings)
    assert "0 new readings, 600 already stored" in load(file)


def test_columns_may_have_other_names_and_two_may_be_missing(
    store: ReadingsRepository, readings: pl.DataFrame, tmp_path: Path
) -> None:
    theirs = readings.drop("arrival_time", "measure_name").rename({"kw": "kwh_col", "time": "ts"})
    file = tmp_path / "theirs.csv"
    theirs.write_csv(file, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    load(file, "--column", "kwh_col=kw", "--column", "ts=time", "--arrival", "time")
    assert all_readings(store).equals(readings)


def test_readings_without_an_arrival_time_arrive_at_the_time_of_loading(
    store: ReadingsRepository, readings: pl.DataFrame, tmp_path: Path
) -> None:
    file = tmp_path / "old.csv"
    frame.with_instants_as_text(readings).drop("arrival_time").write_csv(file)
    before = datetime.now(UTC)
    load(file)
    after = datetime.now(UTC)
    stored = all_readings(store)
    assert stored["arrival_time"].is_between(before, after).all()
    assert stored.drop("arrival_time").equals(readings.drop("arrival_time"))
    assert "0 new readings, 600 already stored" in load(file)
    assert all_readings(store).equals(stored)


def test_readings_of_the_future_do_not_arrive_before_their_time(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    time = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    file = tmp_path / "future.csv"
    file.write_text(f"{HEADER}\n{GOOD.replace('2023-02-27 16:00', f'{time:%Y-%m-%d %H:%M:%S}')}\n")
    load(file)
    assert all_readings(store)["arrival_time"].to_list() == [time]


def test_values_are_stored_in_the_contracts_form(store: ReadingsRepository, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    row = f"2023-02-27T18:00:00.1234567+02:00,{METER.upper()},18,88.92649,0.9,1,2,3"
    file.write_text(f"{HEADER}\n{row}\n")
    load(file)
    [stored] = all_readings(store).rows(named=True)
    assert stored["time"] == START.replace(microsecond=123456)
    assert (stored["device_id"], stored["crrnt"], stored["kva"]) == (METER, 88.926, 1.0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (GOOD.replace("2023-02-27 16:00", "yesterday"), "line 3: time 'yesterday' is not a date"),
        (
            GOOD.replace(METER, "x" * 65),
            f"line 3: device_id '{'x' * 40}…' is not a meter id: it has 65 characters; at most 64",
        ),
        (GOOD.replace(METER, '"a,b"'), "line 3: device_id 'a,b' is not a meter id"),
        (GOOD.replace(METER, ""), "line 3: device_id is empty, it must be a meter id"),
        (GOOD.replace(",18,", ",18.5,"), "line 3: load '18.5' is not a whole number"),
        (
            GOOD.partition(METER)[0] + METER + ",,,, ,,",
            "line 3: every measure is empty, which is allowed only in a row with the quality missing",
        ),
        (GOOD.replace("0.918", "high"), "line 3: pf 'high' is not a number"),
        (GOOD.replace("0.918", "NaN"), "line 3: pf 'NaN' is not a number"),
        (GOOD.replace("0.918", "inf"), "line 3: pf 'inf' is not a number"),
        (GOOD.replace("2023-02-27 16:00", ""), "line 3: time is empty, it must be a date"),
        (GOOD.replace("18,88.926", "x,y"), "line 3: load 'x' is not a whole number; crrnt 'y' is"),
        (GOOD + ",7", "line 3: 9 values, but the header has 8"),
        (
            GOOD.replace("17.674", "17.675"),
            "line 4: has other values for the same device_id and time as line 3",
        ),
    ],
)
def test_a_bad_row_is_named_and_nothing_of_its_file_is_imported(
    store: ReadingsRepository, tmp_path: Path, row: str, message: str
) -> None:
    file = tmp_path / "bad.csv"
    first = GOOD.replace("16:00", "15:00")
    file.write_text("\n".join([HEADER, first, row, GOOD, ""]))
    with pytest.raises(CommandError, match="nothing was imported from this file") as raised:
        load(file)
    assert message in str(raised.value)
    assert str(file) in str(raised.value)
    assert all_readings(store).is_empty()


def test_two_equal_rows_are_one_reading(
    store: ReadingsRepository, readings: pl.DataFrame, tmp_path: Path
) -> None:
    file = as_csv(pl.concat([readings, readings.head(5)]), tmp_path / "equal_rows.csv")
    with pytest.raises(CommandError, match="line 602: may be a copy"):
        load(file)
    assert all_readings(store).is_empty()
    in_utc = re.sub(r"(?m)^([^,]+),", r"\1Z,", file.read_text()).replace("timeZ", "time")
    file.write_text(in_utc)
    assert "600 new readings" in load(file)
    assert all_readings(store).equals(readings)


def test_rows_that_contradict_each_other_are_found_at_any_distance(
    store: ReadingsRepository,
    readings: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_file, "BATCH_ROWS", 50)
    monkeypatch.setattr(file_import, "READINGS_PER_WRITE", 100)
    other = readings.head(1).with_columns(pl.col("kw") + 1)
    file = as_parquet(pl.concat([readings, other]), tmp_path / "real.parquet")
    with pytest.raises(CommandError, match=r"row 601: has other values .* as row 1$"):
        load(file)
    assert all_readings(store).is_empty()


def test_the_named_line_is_the_one_that_an_editor_shows(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "quoted.csv.gz"
    over_two_lines = GOOD.replace(",18,", ',"1\n8",')
    text = "\n".join(["", HEADER, GOOD, over_two_lines, GOOD.replace("18", "x"), ""])
    file.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(CommandError, match=r"line 4: load '1\\n8' .*\n  line 6: load 'x'"):
        load(file)


def test_a_long_value_is_shortened_in_the_message(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "long.csv"
    file.write_text("\n".join([HEADER, GOOD, GOOD.replace("18", "x" * 200_000), ""]))
    with pytest.raises(CommandError, match=r"row 2: load 'x{40}' is not a whole number"):
        load(file)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("device_id", pl.lit(START), "row 1: device_id '2023-02-27 .*' is not a meter"),
        ("time", pl.lit(2**62).cast(frame.INSTANT), r"row 1: time '\+148108-07-06.* is not a date"),
        ("load", pl.lit(18.5), "row 1: load '18.5' is not a whole number"),
        ("device_id", pl.lit(None), "row 1: device_id is empty, it must be a meter id"),
    ],
)
def test_the_values_of_a_parquet_file_are_checked_too(
    store: ReadingsRepository,
    readings: pl.DataFrame,
    tmp_path: Path,
    column: str,
    value: pl.Expr,
    message: str,
) -> None:
    bad = readings.head(1).with_columns(value.alias(column))
    with pytest.raises(CommandError, match=message):
        load(as_parquet(bad, tmp_path / "bad.parquet"))
    assert all_readings(store).is_empty()


def test_all_members_of_a_gzip_file_are_read(
    store: ReadingsRepository, readings: pl.DataFrame, tmp_path: Path
) -> None:
    lines = frame.with_instants_as_text(readings).write_csv().splitlines(keepends=True)
    file = tmp_path / "members.csv.gz"
    members = [lines[:1], lines[1:300], lines[300:]]
    file.write_bytes(b"".join(gzip.compress("".join(member).encode()) for member in members))
    load(file)
    assert all_readings(store).equals(readings)


def test_a_bad_row_after_good_batches_prevents_the_import(
    store: ReadingsRepository,
    readings: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_file, "BATCH_ROWS", 50)
    file = as_csv(readings, tmp_path / "real.csv")
    lines = file.read_text().splitlines()
    lines[590] = lines[590].replace("readings", "events")
    file.write_text("\n".join(lines))
    with pytest.raises(CommandError, match="line 591: measure_name 'events' is not 'readings'"):
        load(file)
    assert all_readings(store).is_empty()


def test_only_the_first_twenty_bad_rows_are_listed_and_the_rest_is_counted(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("\n".join([HEADER, *["x,y,z,,,,,"] * 100]))
    with pytest.raises(CommandError) as raised:
        load(file)
    assert str(raised.value).count("line ") == 20
    assert "and 80 more bad rows" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"kw,time\n", "these columns are missing: device_id"),
        (b"time,device_id,arrival_time\n", "the file has no measure: it needs at least one of"),
        (f"{HEADER},colour\n{GOOD},red\n".encode(), "not columns of a reading: colour"),
        (
            f"{HEADER},\x1b[31mred\n{GOOD},1\n".encode(),
            r"not columns of a reading: '\x1b[31mred'",
        ),
        (f"{HEADER}\n".encode(), "the file has no rows"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "the file is not UTF-8 text"),
        (
            f"{HEADER}\n{GOOD}\n".encode().replace(b"17.674", b"\xff\xfe"),
            "the file is not UTF-8 text",
        ),
        (
            gzip.compress(f"{HEADER}\n{GOOD}\n".encode(), mtime=0)[:-12],
            "the file cannot be read to its end",
        ),
        (b"PAR1 and nothing more", "the Parquet file cannot be read"),
    ],
)
def test_an_unreadable_file_is_an_error_of_one_line_with_the_reason(
    store: ReadingsRepository, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "broken"
    file.write_bytes(content)
    with pytest.raises(CommandError) as raised:
        load(file)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
    assert all_readings(store).is_empty()


def test_a_file_that_does_not_exist_is_an_error_of_one_line(store: ReadingsRepository) -> None:
    with pytest.raises(CommandError, match=r"/nowhere\.csv: No such file or directory"):
        load("/nowhere.csv")


def test_files_before_a_bad_one_are_imported_and_files_after_it_are_not(
    store: ReadingsRepository, readings: pl.DataFrame, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(f"{HEADER}\n,,,,,,,\n")
    good = as_csv(readings, tmp_path / "good.csv")
    with pytest.raises(CommandError, match=r"bad\.csv(.|\n)*\nThe file before it was checked\.$"):
        load(good, bad, "--dry-run")
    with pytest.raises(CommandError, match=r"bad\.csv(.|\n)*\nThe 2 files after it were not im"):
        load(bad, good, good)
    assert all_readings(store).is_empty()
    with pytest.raises(CommandError, match=r"bad\.csv(.|\n)*\nThe file before it was imported\.$"):
        load(good, bad)
    assert all_readings(store).equals(readings)


def test_several_writes_store_the_same_readings_as_one(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_import, "READINGS_PER_WRITE", 700)
    times = FLEET.intervals(START, START + 47 * FLEET.interval)
    four_hours = pl.concat([readings_for(FLEET, time) for time in times])
    load(as_parquet(four_hours, tmp_path / "real.parquet"))
    assert all_readings(store).equals(four_hours)


@pytest.mark.starts_processes
def test_ctrl_c_ends_with_one_line_and_leaves_no_temporary_files(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    times = FLEET.intervals(START, START + 23 * FLEET.interval)
    two_hours = pl.concat([readings_for(Fleet(devices=40_000), time) for time in times])
    file = as_parquet(two_hours, tmp_path / "real.parquet")
    home = tmp_path / "home"
    home.mkdir()
    (home / "static").mkdir()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "load", str(file)],
        env=os.environ | {"HEADEND_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(home.glob("import-*/*.parquet")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    [line] = process.communicate()[1].strip().splitlines()
    assert line == f"Interrupted while importing {file}. Import it again to complete it."
    assert process.returncode == 130
    assert not list(home.glob("import-*"))
