"""``manage.py load``: real readings from files, all of a file or nothing of it."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError, call_command

from readings import frame
from readings.ingest import file_import
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FLEET = Fleet(devices=50)
METER = "0001b33e-0898-33a6-ac1d-82b59b904034"
GOOD = f"2023-02-27 16:00,{METER},18,88.926,0.918,19.257,17.674,0.217"
HEADER = "time,device_id,load,crrnt,pf,kva,kw,vltg"


@pytest.fixture
def real() -> pl.DataFrame:
    """Readings as a utility might have them."""
    times = FLEET.intervals(START, START + 11 * FLEET.interval)
    return pl.concat([readings_for(FLEET, time) for time in times])


def everything(store: ReadingsRepository) -> pl.DataFrame:
    return pl.concat(
        [frame.empty(), *store.snapshot().frames(Window(datetime(1, 1, 1, tzinfo=UTC)))]
    )


def run(*arguments: object) -> str:
    out = StringIO()
    call_command("load", *map(str, arguments), stdout=out)
    return out.getvalue()


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
    """Nanoseconds without a zone, 32-bit numbers: what other tools write."""
    readings.with_columns(
        pl.col("time", "arrival_time").dt.replace_time_zone(None).cast(pl.Datetime("ns")),
        pl.col("load").cast(pl.Int32),
    ).write_parquet(file)
    return file


@pytest.mark.parametrize("write", [as_csv, as_gzip_csv, as_parquet, as_foreign_parquet])
def test_every_kind_of_file_brings_the_same_readings(
    store: ReadingsRepository,
    real: pl.DataFrame,
    tmp_path: Path,
    write: Callable[[pl.DataFrame, Path], Path],
) -> None:
    file = write(real.sample(fraction=1, shuffle=True, seed=3), tmp_path / "real")
    assert "600 readings new, 0 there already" in run(file)
    assert everything(store).equals(real)
    assert "0 readings new, 600 there already" in run(file)


def test_columns_may_have_other_names_and_two_may_be_missing(
    store: ReadingsRepository, real: pl.DataFrame, tmp_path: Path
) -> None:
    theirs = real.drop("arrival_time", "measure_name").rename({"kw": "kwh_col", "time": "ts"})
    file = tmp_path / "theirs.csv"
    theirs.write_csv(file, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    run(file, "--column", "kwh_col=kw", "--column", "ts=time")
    assert everything(store).equals(real)


def test_values_take_the_contracts_form(store: ReadingsRepository, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    row = f"2023-02-27T18:00:00.1234567+02:00,{METER.upper()},18,88.92649,0.9,1,2,3"
    file.write_text(f"{HEADER}\n{row}\n")
    run(file)
    [kept] = everything(store).rows(named=True)
    assert kept["time"] == START.replace(microsecond=123456)
    assert (kept["device_id"], kept["crrnt"], kept["kva"]) == (METER, 88.926, 1.0)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (GOOD.replace("2023-02-27 16:00", "yesterday"), "line 3: time 'yesterday' is not a date"),
        (GOOD.replace(METER, "meter-1"), "line 3: device_id 'meter-1' is not a UUID"),
        (GOOD.replace("0898", "0_98"), "line 3: device_id '0001b33e-0_98"),
        (GOOD.replace(",18,", ",18.5,"), "line 3: load '18.5' is not a whole number"),
        (GOOD.replace(",18,", ",,"), "line 3: load is empty, not a whole number"),
        (GOOD.replace("0.918", "high"), "line 3: pf 'high' is not a number"),
        (GOOD.replace("0.918", "NaN"), "line 3: pf 'NaN' is not a number"),
        (GOOD.replace("0.918", "inf"), "line 3: pf 'inf' is not a number"),
        (GOOD.replace("2023-02-27 16:00", ""), "line 3: time is empty, not a date"),
        (GOOD.replace("18,88.926", "x,y"), "line 3: load 'x' is not a whole number; crrnt 'y' is"),
        ("", "line 3: every value is empty"),
        (GOOD + ",7", "line 3: 9 values where the header has 8"),
        (
            GOOD.replace("17.674", "17.675"),
            "line 4: device_id, time are there with other values in line 3",
        ),
    ],
)
def test_a_bad_row_is_named_and_nothing_of_its_file_is_loaded(
    store: ReadingsRepository, tmp_path: Path, row: str, named: str
) -> None:
    file = tmp_path / "bad.csv"
    first = GOOD.replace("16:00", "15:00")
    file.write_text("\n".join([HEADER, first, row, GOOD, ""]))
    with pytest.raises(CommandError, match="nothing of it was loaded") as refusal:
        run(file)
    assert named in str(refusal.value)
    assert str(file) in str(refusal.value)
    assert everything(store).is_empty()


def test_a_row_that_is_there_twice_is_one_reading(
    store: ReadingsRepository, real: pl.DataFrame, tmp_path: Path
) -> None:
    assert "600 readings new" in run(as_csv(pl.concat([real, real.head(5)]), tmp_path / "real.csv"))
    assert everything(store).equals(real)


def test_rows_that_contradict_each_other_are_found_however_far_apart_they_are(
    store: ReadingsRepository,
    real: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_import, "BATCH_ROWS", 50)
    monkeypatch.setattr(file_import, "READINGS_A_WRITE", 100)
    other = real.head(1).with_columns(pl.col("kw") + 1)
    file = as_parquet(pl.concat([real, other]), tmp_path / "real.parquet")
    with pytest.raises(CommandError, match=r"row 601: .* other values in row 1$"):
        run(file)
    assert everything(store).is_empty()


def test_the_line_that_is_named_is_the_one_an_editor_shows(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "quoted.csv.gz"
    over_two_lines = GOOD.replace(",18,", ',"1\n8",')
    text = "\n".join(["", HEADER, GOOD, over_two_lines, GOOD.replace("18", "x"), ""])
    file.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(CommandError, match=r"line 4: load '1\\n8' .*\n  line 6: load 'x'"):
        run(file)


def test_a_value_of_any_length_is_named_by_its_beginning(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "long.csv"
    file.write_text("\n".join([HEADER, GOOD, GOOD.replace("18", "x" * 200_000), ""]))
    with pytest.raises(CommandError, match=r"row 2: load 'x{40}' is not a whole number"):
        run(file)


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("device_id", pl.lit(START), "row 1: device_id '2023-02-27 .*' is not a UUID"),
        ("time", pl.lit(2**62).cast(frame.INSTANT), r"row 1: time '\+148108-07-06.* is not a date"),
        ("load", pl.lit(18.5), "row 1: load '18.5' is not a whole number"),
        ("kw", pl.lit(None), "row 1: kw is empty, not a number"),
    ],
)
def test_a_parquet_file_is_checked_as_closely(
    store: ReadingsRepository,
    real: pl.DataFrame,
    tmp_path: Path,
    column: str,
    value: pl.Expr,
    named: str,
) -> None:
    bad = real.head(1).with_columns(value.alias(column))
    with pytest.raises(CommandError, match=named):
        run(as_parquet(bad, tmp_path / "bad.parquet"))
    assert everything(store).is_empty()


def test_a_gzip_file_of_several_members_is_read_whole(
    store: ReadingsRepository, real: pl.DataFrame, tmp_path: Path
) -> None:
    lines = frame.with_instants_as_text(real).write_csv().splitlines(keepends=True)
    file = tmp_path / "members.csv.gz"
    members = [lines[:1], lines[1:300], lines[300:]]
    file.write_bytes(b"".join(gzip.compress("".join(member).encode()) for member in members))
    run(file)
    assert everything(store).equals(real)


def test_a_bad_row_far_behind_good_batches_still_keeps_the_file_out(
    store: ReadingsRepository,
    real: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_import, "BATCH_ROWS", 50)
    file = as_csv(real, tmp_path / "real.csv")
    lines = file.read_text().splitlines()
    lines[590] = lines[590].replace("readings", "events")
    file.write_text("\n".join(lines))
    with pytest.raises(CommandError, match="line 591: measure_name 'events' is not 'readings'"):
        run(file)
    assert everything(store).is_empty()


def test_many_bad_rows_are_counted_behind_the_first_twenty(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("\n".join([HEADER, *["x,y,z,,,,,"] * 100]))
    with pytest.raises(CommandError) as refusal:
        run(file)
    assert str(refusal.value).count("line ") == 20
    assert "and 80 more bad rows" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (gzip.compress(b""), "it is empty"),
        (b"time,device_id\n", "columns load, crrnt, pf, kva, kw, vltg are missing"),
        (f"{HEADER},colour\n{GOOD},red\n".encode(), "columns colour are none of a reading's"),
        (f"{HEADER}\n".encode(), "there are no rows in it"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "it is not UTF-8 text"),
        (f"{HEADER}\n{GOOD}\n".encode().replace(b"17.674", b"\xff\xfe"), "it is not UTF-8 text"),
        (gzip.compress(f"{HEADER}\n{GOOD}\n".encode())[:-12], "it cannot be read to its end"),
        (b"PAR1 and nothing more", "no Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_in_one_line(
    store: ReadingsRepository, tmp_path: Path, content: bytes, why: str
) -> None:
    file = tmp_path / "broken"
    file.write_bytes(content)
    with pytest.raises(CommandError) as refusal:
        run(file)
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert everything(store).is_empty()


def test_a_file_that_is_not_there_is_one_line(store: ReadingsRepository) -> None:
    with pytest.raises(CommandError, match=r"/nowhere\.csv: No such file or directory"):
        run("/nowhere.csv")


@pytest.mark.parametrize("renaming", ["kw", "kw=", "=kw", "kwh=power"])
def test_a_renaming_that_says_nothing_is_refused(store: ReadingsRepository, renaming: str) -> None:
    with pytest.raises(CommandError, match="THEIRS=OURS"):
        run("any.csv", "--column", renaming)


def test_a_column_to_rename_must_be_there(
    store: ReadingsRepository, real: pl.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="there is no column kwh"):
        run(as_csv(real, tmp_path / "real.csv"), "--column", "kwh=kw")


def test_files_before_a_bad_one_stay_loaded(
    store: ReadingsRepository, real: pl.DataFrame, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(f"{HEADER}\n,,,,,,,\n")
    with pytest.raises(CommandError, match=r"bad\.csv(.|\n)*The file before it stays loaded\."):
        run(as_csv(real, tmp_path / "good.csv"), bad)
    assert everything(store).equals(real)


def test_more_than_one_write_ends_with_the_same_readings(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_import, "READINGS_A_WRITE", 700)
    times = FLEET.intervals(START, START + 47 * FLEET.interval)
    four_hours = pl.concat([readings_for(FLEET, time) for time in times])
    run(as_parquet(four_hours, tmp_path / "real.parquet"))
    assert everything(store).equals(four_hours)


def test_ctrl_c_ends_loading_with_one_line_and_leaves_nothing_behind(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    times = FLEET.intervals(START, START + 23 * FLEET.interval)
    a_while = pl.concat([readings_for(Fleet(devices=40_000), time) for time in times])
    file = as_parquet(a_while, tmp_path / "real.parquet")
    home = tmp_path / "home"
    home.mkdir()
    (home / "static").mkdir()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "load", str(file)],
        env=os.environ | {"HEADEND_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(home.glob("loading-*/*.parquet")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    [line] = process.communicate()[1].strip().splitlines()
    assert line == f"Cut off in {file}; load it again to go on."
    assert process.returncode == 130
    assert not list(home.glob("loading-*"))
