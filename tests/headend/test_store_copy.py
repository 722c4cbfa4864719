"""``manage.py store copy``: equal stores, interrupted copies, differences, and wrong arguments."""

from __future__ import annotations

import io
import signal
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.core.management import CommandError, call_command
from polars.testing import assert_frame_equal
from pytest_django.fixtures import Settings

from readings.copying import copy_days
from readings.instants import FIRST_INSTANT
from readings.models import IntervalTotals
from readings.repositories import open_repository, open_store
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.store import TimestreamStore
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.new_repository import create_repository
from tests.services.timestream import TimestreamLocal

pytestmark = pytest.mark.django_db
FLEET = Fleet(devices=20, late_arrivals=True, late_percent=30)
FIRST, LAST = datetime(2023, 2, 27, 23, tzinfo=UTC), datetime(2023, 3, 1, 1, tzinfo=UTC)
EVERYTHING = Window(FIRST_INSTANT)


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Path:
    """The home folder, with the record of copies."""
    settings.HEADEND_HOME = tmp_path
    return tmp_path


@pytest.fixture
def source(home: Path, settings: Settings) -> str:
    """The URL of a store with an hour before, a day, and an hour after; some readings are late."""
    settings.READINGS_URL = f"delta://{home}/source"
    create_repository(settings.READINGS_URL).write(some_readings())
    return str(settings.READINGS_URL)


@pytest.fixture
def target(home: Path) -> str:
    """The URL of an empty store."""
    return new_delta(home / "target")


def new_delta(folder: Path) -> str:
    create_repository(f"delta://{folder}")
    return f"delta://{folder}"


def some_readings() -> pl.DataFrame:
    end = LAST + timedelta(days=2)
    hourly = (time for time in FLEET.intervals(FIRST, LAST) if time.minute == 0)
    return pl.concat(readings_for(FLEET, time, arrived_by=end) for time in hourly)


def all_readings(url: str) -> pl.DataFrame:
    return pl.concat(open_repository(url).snapshot().frames(EVERYTHING))


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("store", "copy", *arguments, stdout=out)
    return out.getvalue()


def test_the_copy_has_every_reading_with_every_value(source: str, target: str) -> None:
    output = run(source, target)
    assert output.startswith("3 days copied and compared: 540 readings, 540 new, 0 already stored")
    copied = all_readings(target)
    assert_frame_equal(copied, all_readings(source))
    assert (copied["arrival_time"] > copied["time"]).any()


@pytest.mark.starts_processes
def test_a_copy_to_timestream_without_a_bucket_and_back_is_equal(
    source: str, target: str, timestream: TimestreamLocal
) -> None:
    url = timestream.url_of("copies", f"t-{uuid.uuid4().hex}", bucket=None)
    TimestreamStore(TimestreamAddress.of(url)).create(magnetic=timedelta(days=73_000))
    assert "540 new" in run(source, url)
    assert "540 new" in run(url, target)
    assert_frame_equal(all_readings(target), all_readings(source))
    assert "0 days copied and compared" in run(source, url)


def test_a_second_run_skips_verified_days(source: str, target: str) -> None:
    run(source, target)
    output = run(source, target)
    assert "0 days copied and compared" in output
    assert "3 days verified by an earlier run" in output


def test_a_day_with_new_readings_is_copied_again(source: str, target: str) -> None:
    run(source, target)
    open_repository(source).write(readings_for(FLEET, FIRST + timedelta(minutes=5)))
    output = run(source, target)
    new = len(all_readings(source)) - 540
    assert 0 < new <= 20
    assert f"1 day copied and compared: {20 + new} readings, {new} new, 20 already stored" in output
    assert "2 days verified by an earlier run" in output
    assert_frame_equal(all_readings(target), all_readings(source))


def test_a_day_with_a_correction_is_copied_again(source: str, target: str) -> None:
    run(source, target)
    later = pl.col("arrival_time") + timedelta(days=3)
    some_readings().head(1).pipe(change_kw).with_columns(later).pipe(
        open_repository(source).write, corrections=True
    )
    output = run(source, target)
    assert "1 day copied and compared: 21 readings, 1 new, 20 already stored" in output
    assert_frame_equal(all_readings(target), all_readings(source))
    assert "0 days copied and compared" in run(source, target)


def test_no_day_of_a_table_that_was_created_again_is_skipped(source: str, target: str) -> None:
    run(source, target)
    readings = all_readings(source)
    open_store(source).destroy()
    create_repository(source).write(change_kw(readings))
    open_repository.cache_clear()
    with pytest.raises(CommandError, match="3 of 3 days differ in TO"):
        run(source, target)


def test_a_day_that_the_target_has_lost_is_copied_again(source: str, target: str) -> None:
    run(source, target)
    open_repository(target).delete_before(FIRST + timedelta(hours=1))
    assert "1 day copied and compared: 20 readings, 20 new" in run(source, target)
    assert_frame_equal(all_readings(target), all_readings(source))


def test_only_the_window_is_copied(source: str, target: str) -> None:
    run(source, target, "--start", "2023-02-28 12:00", "--end", "2023-03-01")
    copied = all_readings(target)
    assert copied["time"].min() == datetime(2023, 2, 28, 12, tzinfo=UTC)
    assert copied["time"].max() == datetime(2023, 3, 1, tzinfo=UTC)
    # The rest of both days is not verified yet.
    assert "3 days copied and compared: 540 readings, 280 new" in run(source, target)
    assert_frame_equal(all_readings(target), all_readings(source))


def change_kw(readings: pl.DataFrame) -> pl.DataFrame:
    return readings.with_columns(pl.col("kw") + 1)


def another_meter(readings: pl.DataFrame) -> pl.DataFrame:
    return readings.with_columns(pl.lit("ffffffff-0000-0000-0000-000000000000").alias("device_id"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (change_kw, "2023-02-28: 480 readings in both, but other values of kw (checksum "),
        (another_meter, "2023-02-28: 480 readings in FROM, 481 in TO"),
    ],
)
def test_a_day_that_differs_is_reported_and_not_recorded(
    source: str,
    target: str,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[pl.DataFrame], pl.DataFrame],
    line: str,
) -> None:
    reading = all_readings(source).filter(pl.col("time").dt.date() == FIRST.date() + timedelta(1))
    open_repository(target).write(change(reading.slice(100, 1)))
    for days in ("3 days", "1 day"):
        with pytest.raises(CommandError, match=f"1 of {days} differ in TO"):
            run(source, target)
        assert capsys.readouterr().err.startswith(line)


def test_readings_copied_into_the_deployments_store_are_in_the_portal(
    source: str, target: str, settings: Settings
) -> None:
    settings.READINGS_URL = target
    run(source, target)
    assert IntervalTotals.objects.count() == 27


def test_ctrl_c_ends_with_one_line_and_the_next_run_continues(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = copy_days._difference
    compared = []

    def compare_and_interrupt(*arguments: Any) -> str | None:
        compared.append(arguments)
        if len(compared) == 2:
            signal.raise_signal(signal.SIGINT)
        return compare(*arguments)

    monkeypatch.setattr(copy_days, "_difference", compare_and_interrupt)
    with pytest.raises(SystemExit) as stopped:
        run(source, target)
    assert stopped.value.code == 130
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line == "Interrupted after 2 days. Run the command again to continue."
    assert "1 day copied and compared" in run(source, target)
    assert_frame_equal(all_readings(target), all_readings(source))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{source}", "{source}"), "FROM and TO are the same store."),
        (("{source}", "{source}/../source"), "FROM and TO are the same store."),
        (("ftp://x", "{target}"), "FROM: ftp:// is not a scheme of a readings repository"),
        (("{source}", "timestream://x"), "TO: 'x' is not a valid name of a Timestream database"),
        (("{source}", "delta://relative"), "TO is 'delta://relative'; write a folder with three"),
        (("{source}/missing", "{target}"), "FROM: .*/source/missing does not exist."),
        (("{source}", "{target}/missing"), "TO: .*/target/missing does not exist. `python manage.py store create URL`"),
        (("{source}", "{target}", "--start", "soon"), "--start: 'soon' is not a date"),
        (("{source}", "{target}", "--start", "2023-03-01", "--end", "2023-02-28"), "--end 2023-02-28 is before --start"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused_with_one_line(
    source: str, target: str, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        run(*(argument.format(source=source, target=target) for argument in arguments))
    assert "\n" not in str(refused.value)
    assert open_repository(target).snapshot().minute_counts(EVERYTHING).is_empty()


@pytest.mark.usefixtures("aws_credentials")
@pytest.mark.starts_processes
def test_a_store_that_cannot_be_reached_is_named(source: str, target: str) -> None:
    nowhere = (
        "timestream://devices/readings?region=us-east-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    )
    with pytest.raises(CommandError, match=r"^FROM: AWS cannot be reached"):
        run(nowhere, target)
    with pytest.raises(CommandError, match=r"^TO: AWS cannot be reached"):
        run(source, nowhere)


@pytest.mark.starts_processes
def test_after_an_error_of_the_target_the_next_run_completes_the_copy(
    source: str, timestream: TimestreamLocal
) -> None:
    url = timestream.url_of("copies", f"t-{uuid.uuid4().hex}")
    TimestreamStore(TimestreamAddress.of(url)).create(magnetic=timedelta(days=73_000))
    timestream.fail("WriteRecords", "ValidationException", times=1)
    with pytest.raises(CommandError, match="Timestream rejected the call") as failed:
        run(source, url)
    assert "\n" not in str(failed.value)
    assert "3 days copied and compared" in run(source, url)
    assert_frame_equal(all_readings(url), all_readings(source))


def test_a_missing_store_is_not_created_by_a_wrong_url(source: str, home: Path) -> None:
    with pytest.raises(CommandError):
        run(source, f"delta://{home}/typo")
    assert not (home / "typo").exists()


def test_an_empty_window_copies_nothing(source: str, target: str) -> None:
    assert "no readings in this window" in run(source, target, "--start", "2023-06-01")


@pytest.mark.starts_processes
def test_a_target_that_keeps_too_few_days_is_refused_before_anything_is_copied(
    source: str, timestream: TimestreamLocal
) -> None:
    url = timestream.url_of("copies", f"t-{uuid.uuid4().hex}")
    TimestreamStore(TimestreamAddress.of(url)).create()
    with pytest.raises(CommandError, match=r"TO: .* refuses readings before .*--magnetic-days"):
        run(source, url)
    assert open_repository(url).snapshot().minute_counts(EVERYTHING).is_empty()
