"""``manage.py load --timezone``: times without a UTC offset are local times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from django.core.management import CommandError

from readings.ingest import repeated_hour, source_file
from readings.repositories import ReadingsRepository
from tests.readings.ingest.loading import GOOD, HEADER, METER, load
from tests.readings.ingest.stored_readings import all_readings
from tests.readings.ingest.test_cases import CASES

pytestmark = pytest.mark.django_db

OTHER_METER = "fffe1c2a-0898-33a6-ac1d-82b59b904034"
AUTUMN = {
    "Europe/Berlin": datetime(2023, 10, 29, 1, tzinfo=UTC),
    "America/New_York": datetime(2023, 11, 5, 6, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2023, 4, 1, 15, tzinfo=UTC),
    # Its clocks went back from 00:01 to 23:01 of the day before.
    "America/St_Johns": datetime(2005, 10, 30, 2, 31, tzinfo=UTC),
}
"""The instants at which the clocks of some zones go back."""

Row = tuple[datetime, str, float]
"""Time, meter and kw of a reading."""


def rows_around(change: datetime, minutes: int, meters: list[str]) -> list[Row]:
    """Return the rows of 12 hours by time and meter. Each has another kw."""
    count = 12 * 60 // minutes
    times = [change + timedelta(minutes=minutes * (n - count // 2)) for n in range(count)]
    pairs = [(time, meter) for time in times for meter in meters]
    return [(time, meter, float(number)) for number, (time, meter) in enumerate(pairs)]


def write_local(rows: list[Row], zone: str, file: Path) -> Path:
    lines = [
        f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M},{meter},9999,1,1,1,{kw},0.2"
        for time, meter, kw in rows
    ]
    file.write_text("\n".join([HEADER, *lines, ""]))
    return file


def stored(store: ReadingsRepository) -> list[Row]:
    return sorted(all_readings(store).select("time", "device_id", "kw").iter_rows())


def interleaved(rows: list[Row], zone: str) -> list[Row]:
    return rows


def in_blocks(rows: list[Row], zone: str) -> list[Row]:
    return sorted(rows, key=lambda row: row[1])


def newest_first(rows: list[Row], zone: str) -> list[Row]:
    return rows[::-1]


def by_local_time(rows: list[Row], zone: str) -> list[Row]:
    return sorted(rows, key=lambda row: row[0].astimezone(ZoneInfo(zone)).replace(tzinfo=None))


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [
        ("Europe/Berlin", 5),
        ("Europe/Berlin", 60),
        ("America/New_York", 15),
        ("Australia/Lord_Howe", 15),
        ("America/St_Johns", 30),
    ],
)
@pytest.mark.parametrize("order", [interleaved, in_blocks, newest_first, by_local_time])
def test_the_order_of_a_meters_rows_tells_the_two_equal_hours_apart(
    store: ReadingsRepository,
    tmp_path: Path,
    zone: str,
    minutes: int,
    order: Callable[[list[Row], str], list[Row]],
) -> None:
    rows = rows_around(AUTUMN[zone], minutes, [METER, OTHER_METER])
    load(write_local(order(rows, zone), zone, tmp_path / "local.csv"), "--timezone", zone)
    assert stored(store) == sorted(rows)


def test_the_hours_are_told_apart_at_any_size_of_the_file(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_file, "BATCH_ROWS", 7)
    monkeypatch.setattr(repeated_hour, "ROWS_PER_PART", 5)
    changes = [AUTUMN["Europe/Berlin"], datetime(2024, 10, 27, 1, tzinfo=UTC)]
    rows = [row for change in changes for row in rows_around(change, 15, [METER, OTHER_METER])]
    file = write_local(rows, "Europe/Berlin", tmp_path / "local.csv")
    load(file, "--timezone", "Europe/Berlin")
    assert stored(store) == sorted(rows)


@pytest.mark.parametrize("missing_minutes", [[-60, -45], [-15], [15], [0, 15], [-30, 45]])
def test_rows_may_be_missing_in_either_hour(
    store: ReadingsRepository, tmp_path: Path, missing_minutes: list[int]
) -> None:
    change = AUTUMN["Europe/Berlin"]
    missing = {change + timedelta(minutes=minutes) for minutes in missing_minutes}
    rows = [row for row in rows_around(change, 15, [METER]) if row[0] not in missing]
    file = write_local(rows, "Europe/Berlin", tmp_path / "local.csv")
    load(file, "--timezone", "Europe/Berlin")
    assert stored(store) == sorted(rows)


def test_a_time_of_the_repeated_hour_that_appears_once_is_the_first_one(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "local.csv"
    file.write_text(f"{HEADER}\n{GOOD.replace('2023-02-27 16:00', '2023-10-29 02:30')}\n")
    load(file, "--timezone", "Europe/Berlin")
    assert all_readings(store)["time"].to_list() == [datetime(2023, 10, 29, 0, 30, tzinfo=UTC)]


def test_a_file_with_equal_values_in_both_hours_is_read(store: ReadingsRepository) -> None:
    summary = load(CASES / "dst_fall_same_values.csv", "--timezone", "Europe/Berlin")
    assert "16 new readings" in summary
    times = all_readings(store)["time"]
    assert times.n_unique() == 16
    assert times.diff().drop_nulls().unique().to_list() == [timedelta(minutes=15)]


def test_a_third_row_of_the_repeated_hour_is_refused(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "local.csv"
    repeated = GOOD.replace("2023-02-27 16:00", "2023-10-29 02:00")
    file.write_text("\n".join([HEADER, *[repeated] * 3, ""]))
    with pytest.raises(CommandError, match=r"line 4: may be a copy, .* as line 3$"):
        load(file, "--timezone", "Europe/Berlin")
    file.write_text("\n".join([HEADER, *[repeated] * 2, ""]))
    assert "2 new readings" in load(file, "--timezone", "Europe/Berlin")


def test_two_equal_rows_of_another_hour_are_one_reading(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    file = tmp_path / "local.csv"
    file.write_text("\n".join([HEADER, GOOD, GOOD, ""]))
    with pytest.raises(CommandError, match=r"no UTC offset \(--timezone reads local times\)"):
        load(file)
    assert "1 new reading" in load(file, "--timezone", "Europe/Berlin")
    assert all_readings(store)["time"].to_list() == [datetime(2023, 2, 27, 15, tzinfo=UTC)]


@pytest.mark.parametrize(
    "time", ["2024-03-31 02:30", "2024-03-31T02:00:00", "20240331T025959", "2024-03-31 02:59:59.9"]
)
def test_a_local_time_that_clocks_skip_is_a_bad_row(
    store: ReadingsRepository, tmp_path: Path, time: str
) -> None:
    file = tmp_path / "local.csv"
    row = GOOD.replace("2023-02-27 16:00", time)
    file.write_text("\n".join([HEADER, GOOD, row, ""]))
    with pytest.raises(CommandError) as raised:
        load(file, "--timezone", "Europe/Berlin")
    expected = f"line 3: time '{time}' does not exist in Europe/Berlin: its clocks skip this hour"
    assert expected in str(raised.value)
    assert all_readings(store).is_empty()


@pytest.mark.parametrize("time", ["yesterday", "1970-01-01 00:30", "2024-03-32 02:30"])
def test_other_wrong_times_keep_their_reason(
    store: ReadingsRepository, tmp_path: Path, time: str
) -> None:
    file = tmp_path / "local.csv"
    row = GOOD.replace("2023-02-27 16:00", time)
    file.write_text("\n".join([HEADER, GOOD, row, ""]))
    with pytest.raises(CommandError, match=f"line 3: time '{time}' is not a date like .* 1970"):
        load(file, "--timezone", "Europe/Berlin")


def test_a_time_with_an_offset_is_not_local(store: ReadingsRepository, tmp_path: Path) -> None:
    times = ["2023-10-29 02:00+01", "2023-10-29 02:00+02:00", "2024-03-31T02:30:00Z", "2023-07-01"]
    rows = [GOOD.replace("2023-02-27 16:00", time) for time in times]
    file = tmp_path / "mixed.csv"
    file.write_text("\n".join([HEADER, *rows, ""]))
    load(file, "--timezone", "Europe/Berlin")
    assert [f"{time:%m-%d %H:%M}" for time in all_readings(store)["time"]] == [
        "06-30 22:00",
        "10-29 00:00",
        "10-29 01:00",
        "03-31 02:30",
    ]


def test_datetimes_of_parquet_are_local_if_they_have_no_zone(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    rows = rows_around(AUTUMN["Europe/Berlin"], 60, [METER])
    local = pl.read_csv(write_local(rows, "Europe/Berlin", tmp_path / "local.csv"))
    local = local.with_columns(pl.col("time").str.to_datetime("%Y-%m-%d %H:%M"))
    local.write_parquet(tmp_path / "local.parquet")
    load(tmp_path / "local.parquet", "--timezone", "Europe/Berlin")
    assert stored(store) == sorted(rows)


def test_an_arrival_time_is_local_too_and_the_first_one_that_is_not_before_the_time(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    rows = [
        f"{GOOD.replace('2023-02-27 16:00', f'2023-10-29 {time}')},2023-10-29 {arrival}"
        for time, arrival in [
            ("01:30", "02:10"),
            ("02:00", "02:10"),
            ("02:50", "02:10"),
            ("02:00", "02:10"),
            ("02:10", "03:20"),
        ]
    ]
    file = tmp_path / "local.csv"
    file.write_text("\n".join([f"{HEADER},arrival_time", *rows, ""]))
    load(file, "--timezone", "Europe/Berlin")
    instants = all_readings(store).select(pl.col("time", "arrival_time").dt.strftime("%H:%M"))
    assert instants.rows() == [
        ("23:30", "00:10"),
        ("00:00", "00:10"),
        ("00:50", "01:10"),
        ("01:00", "01:10"),
        ("01:10", "02:20"),
    ]


def test_an_arrival_before_the_second_hour_is_a_bad_row(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    rows = [
        f"{GOOD.replace('2023-02-27 16:00', '2023-10-29 02:30')},2023-10-29 02:{minute}"
        for minute in (40, 20)
    ]
    file = tmp_path / "local.csv"
    file.write_text("\n".join([f"{HEADER},arrival_time", *rows, ""]))
    with pytest.raises(CommandError, match="line 3: arrival_time is before time"):
        load(file, "--timezone", "Europe/Berlin")
    assert all_readings(store).is_empty()


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "+05:45", "europe/berlin", "/etc/localtime"])
def test_an_unknown_time_zone_is_an_error_of_one_line(store: ReadingsRepository, zone: str) -> None:
    with pytest.raises(CommandError) as raised:
        load("any.csv", "--timezone", zone)
    assert str(raised.value) == f"--timezone {zone!r}: write a time zone, such as Europe/Berlin."


def test_further_columns_of_a_repeated_hour_are_kept(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    rows = [
        f"2023-10-29 {time},{METER},{kwh},estimated"
        for kwh, time in enumerate(("02:00", "02:30", "02:00", "02:30", "03:00"))
    ]
    file = tmp_path / "local.csv"
    file.write_text("\n".join(["time,device_id,kwh,quality", *rows, ""]))
    load(file, "--timezone", "Europe/Berlin")
    readings = all_readings(store, ["time", "kwh", "quality"])
    assert readings["kwh"].to_list() == [0, 1, 2, 3, 4]
    assert readings["time"][0] == datetime(2023, 10, 29, 0, tzinfo=UTC)
    assert readings["quality"].unique().to_list() == ["estimated"]
