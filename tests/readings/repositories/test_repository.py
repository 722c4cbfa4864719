"""The behaviour that all readings repositories share, tested against every engine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from pytest_django.fixtures import Settings

from readings import frame
from readings.repositories import ReadingsRepository, open_repository
from readings.repositories.base import HOURLY_MEANS_SCHEMA
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Position, Window
from tests.readings.repositories.engines import A_MIDNIGHT, EngineUnderTest
from tests.readings.repositories.writer_process import write_intervals

MIDNIGHT = A_MIDNIGHT
START = MIDNIGHT - timedelta(hours=2)
FLEET = Fleet(devices=150, interval_minutes=10, late_arrivals=True)
"""An interval needs two calls of Timestream, and all readings are three pages of its results."""
INTERVALS = 18
END = START + (INTERVALS - 1) * FLEET.interval
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def everything() -> pl.DataFrame:
    """Three hours of a fleet with late arrivals, across a midnight."""
    return pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])


def fill(repository: ReadingsRepository, everything: pl.DataFrame) -> ReadingsRepository:
    """Write readings as they arrive: those on time by interval, then all late ones a day later."""
    on_time = everything.filter(pl.col("arrival_time") == pl.col("time"))
    for interval in on_time.partition_by("time", maintain_order=True):
        repository.write(interval)
    repository.write(everything.filter(pl.col("arrival_time") > pl.col("time")))
    return repository


@pytest.fixture(scope="module")
def filled(engine: EngineUnderTest, everything: pl.DataFrame) -> Iterator[ReadingsRepository]:
    """A repository with all readings, shared by the tests that only read."""
    with engine.new_repository() as url:
        yield fill(open_repository(url), everything)


@pytest.fixture
def refilled(repository: ReadingsRepository, everything: pl.DataFrame) -> ReadingsRepository:
    """A repository with all readings, for one test that changes it. A single write has stored them."""
    repository.write(everything)
    return repository


def page_through(repository: ReadingsRepository, window: Window, size: int) -> pl.DataFrame:
    pages, offset, more = [frame.empty()], 0, True
    while more:
        page = repository.snapshot().page(window, offset=offset, size=size)
        pages.append(page.readings)
        offset, more = offset + len(page.readings), page.more
    return pl.concat(pages)


def test_an_empty_repository_has_no_readings(repository: ReadingsRepository) -> None:
    snapshot = repository.snapshot()
    assert snapshot.page(Window(START), offset=0, size=10).readings.equals(frame.empty())
    assert snapshot.minute_counts(Window(START)).is_empty()
    assert list(snapshot.frames(Window(START))) == []
    assert snapshot.day_summaries().is_empty()
    assert snapshot.meter_count() == 0
    assert snapshot.last_times(Window(START)).is_empty()


WINDOWS = {
    "everything": Window(START),
    "up to an interval, inclusive": Window(START, START + timedelta(minutes=30)),
    "between two intervals": Window(START + timedelta(seconds=1), END - timedelta(seconds=1)),
    "one interval": Window(START, START),
    "before the first reading": Window(START - DAY, START - timedelta(hours=1)),
    "as of an interval": Window(START, as_of=START + timedelta(minutes=50)),
    "as of a time when half of the late readings had arrived": Window(
        START, as_of=START + DAY + timedelta(hours=1)
    ),
    "late readings": Window(START, arrived_after=END),
    "arrived between two instants": Window(START, arrived_after=START, as_of=START + DAY),
    "two meters": Window(
        START, device_ids=(FLEET.meters.device_id[7], FLEET.meters.device_id[100])
    ),
    "one meter, as of": Window(START, END, (FLEET.meters.device_id[9],), as_of=END),
    "an unknown meter": Window(START, device_ids=("00000000-0000-0000-0000-000000000000",)),
}

OFFSETS = [0, 1, 149, 150, 151, 1_250, 2_699, 2_700, 2**62]


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_counts_pages_and_frames_hold_exactly_the_readings_of_the_window(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = everything.filter(window.predicate()).sort(frame.ORDER)
    snapshot = filled.snapshot()

    counts = snapshot.minute_counts(window)
    assert counts["readings"].sum() == len(expected)
    assert counts["minute"].to_list() == expected["time"].unique().sort().to_list()
    assert page_through(filled, window, size=997).equals(expected)
    assert pl.concat([frame.empty(), *snapshot.frames(window)]).equals(expected)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_page_is_the_slice_after_its_offset(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = everything.filter(window.predicate()).sort(frame.ORDER)
    snapshot = filled.snapshot()
    for offset in OFFSETS:
        page = snapshot.page(window, offset=offset, size=100)
        assert page.readings.equals(expected.slice(min(offset, len(expected)), 100)), offset
        assert page.more == (offset + 100 < len(expected)), offset


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_pages_after_positions_have_no_gaps_and_no_duplicates(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = everything.filter(window.predicate()).sort(frame.ORDER)
    snapshot = filled.snapshot()
    page = snapshot.page(window, offset=0, size=425)
    pages = [page.readings]
    while page.more:
        time, device_id = page.readings.select(frame.ORDER).row(-1)
        page = snapshot.page(window, offset=0, size=425, after=Position(time, device_id))
        pages.append(page.readings)
    assert pl.concat(pages).equals(expected)


@pytest.mark.parametrize(
    "seconds", [30, 90, -90], ids=["in its minute", "in a gap", "before the first reading"]
)
def test_a_page_after_a_position_without_a_reading_starts_with_the_next_reading(
    filled: ReadingsRepository, everything: pl.DataFrame, seconds: int
) -> None:
    between_readings = Position(START + timedelta(seconds=seconds), FLEET.meters.device_id[7])
    page = filled.snapshot().page(Window(START - DAY), offset=0, size=10, after=between_readings)
    assert page.readings.equals(everything.filter(pl.col("time") > between_readings.time).head(10))


def test_pages_as_of_an_instant_do_not_change_when_late_readings_arrive(
    repository: ReadingsRepository, everything: pl.DataFrame
) -> None:
    on_time = everything.filter(pl.col("arrival_time") == pl.col("time"))
    late = everything.filter(pl.col("arrival_time") > pl.col("time"))
    repository.write(on_time)
    window = Window(START, as_of=END)
    before = repository.snapshot().page(window, offset=500, size=250)
    repository.write(late)
    assert repository.snapshot().page(window, offset=500, size=250).readings.equals(before.readings)


def test_writing_the_same_readings_again_changes_nothing(
    filled: ReadingsRepository, everything: pl.DataFrame
) -> None:
    version = filled.snapshot().name
    assert filled.write(everything) == 0
    assert filled.snapshot().name == version


def test_a_write_adds_only_the_readings_that_are_missing(
    repository: ReadingsRepository, everything: pl.DataFrame
) -> None:
    half = everything.gather_every(2)
    assert repository.write(half) == len(half)
    assert repository.write(everything) == len(everything) - len(half)
    assert page_through(repository, Window(START), size=1_100).equals(everything)


def test_a_stored_reading_stays_unchanged(
    repository: ReadingsRepository, everything: pl.DataFrame
) -> None:
    repository.write(everything)
    assert repository.write(everything.with_columns(pl.lit(0.0).alias("kw"))) == 0
    assert page_through(repository, Window(START), size=1_100).equals(everything)


def test_a_duplicate_within_one_write_is_stored_once(
    repository: ReadingsRepository, everything: pl.DataFrame
) -> None:
    assert repository.write(pl.concat([everything, everything])) == len(everything)


def test_a_snapshot_that_does_not_exist_is_unavailable(repository: ReadingsRepository) -> None:
    with pytest.raises(RepositoryUnavailableError):
        repository.snapshot("12345")


def test_concurrent_writers_store_each_reading_once(
    repository: ReadingsRepository, everything: pl.DataFrame
) -> None:
    halves = [
        everything.filter(pl.col("time") <= START + timedelta(hours=2)),
        everything.filter(pl.col("time") >= START + timedelta(hours=1)),
    ]
    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(repository.write, [*halves, *halves]))
    assert sum(written) == len(everything)
    assert page_through(repository, Window(START), size=1_100).equals(everything)


@pytest.mark.starts_processes
def test_two_processes_that_write_the_same_window_store_each_reading_once(
    repository: ReadingsRepository, everything: pl.DataFrame, settings: Settings
) -> None:
    intervals = list(FLEET.intervals(MIDNIGHT - 3 * FLEET.interval, MIDNIGHT + 2 * FLEET.interval))
    context = multiprocessing.get_context("spawn")
    arguments = settings.READINGS_URL, FLEET, intervals
    writers = [context.Process(target=write_intervals, args=arguments) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert page_through(repository, Window(START), size=1_100).equals(
        everything.filter(pl.col("time").is_between(intervals[0], intervals[-1]))
    )


def test_delete_before_keeps_the_day_of_the_instant(
    refilled: ReadingsRepository, everything: pl.DataFrame
) -> None:
    refilled.delete_before(MIDNIGHT + timedelta(hours=5))
    assert page_through(refilled, Window(MIDNIGHT), size=1_100).equals(
        everything.filter(pl.col("time") >= MIDNIGHT)
    )


def test_delete_before_deletes_the_days_that_ended_a_day_before(
    refilled: ReadingsRepository,
) -> None:
    refilled.delete_before(MIDNIGHT + DAY + timedelta(hours=5))
    before = Window(START, MIDNIGHT - FLEET.interval)
    assert page_through(refilled, before, size=1_100).is_empty()


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_interval_totals_are_the_sums_of_each_interval(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = (
        everything.filter(window.predicate())
        .group_by(pl.col("time").alias("minute"))
        .agg(
            pl.len().cast(pl.Int64).alias("readings"),
            (pl.col("arrival_time") > pl.col("time")).sum().cast(pl.Int64).alias("late"),
            pl.col("kw").sum(),
            # The readings have no energy.
            pl.lit(0.0).alias("import_kwh"),
            pl.lit(0.0).alias("export_kwh"),
        )
        .sort("minute")
    )
    totals = filled.snapshot().interval_totals(window)
    assert totals.drop("kw").equals(expected.drop("kw"))
    assert totals["kw"].to_list() == pytest.approx(expected["kw"].to_list())


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_hourly_means_are_the_means_of_each_hour(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    measured = ["kw", "vltg", "crrnt", "pf"]
    expected = (
        everything.filter(window.predicate())
        .group_by(pl.col("time").dt.truncate("1h").alias("hour"))
        .agg(
            pl.len().cast(pl.Int64).alias("readings"),
            (pl.col("arrival_time") > pl.col("time")).sum().cast(pl.Int64).alias("late"),
            pl.col(measured).mean(),
        )
        .sort("hour")
    )
    means = filled.snapshot().hourly_means(window)
    assert means.schema == pl.Schema(HOURLY_MEANS_SCHEMA)
    assert means.drop(*measured, "kwh").equals(expected.drop(measured))
    for name in measured:
        assert means[name].to_list() == pytest.approx(expected[name].to_list())


def test_day_summaries_describe_each_day(filled: ReadingsRepository) -> None:
    rows = filled.snapshot().day_summaries().rows()
    assert rows == [
        (START.date(), START, MIDNIGHT - FLEET.interval, 12 * 150, 12, 150),
        (MIDNIGHT.date(), MIDNIGHT, END, 6 * 150, 6, 150),
    ]


def test_a_meter_with_readings_on_two_days_is_counted_once(filled: ReadingsRepository) -> None:
    assert filled.snapshot().meter_count() == 150


def test_last_times_are_those_of_the_meters_in_the_window(filled: ReadingsRepository) -> None:
    meters = sorted(FLEET.meters.device_id)
    last = filled.snapshot().last_times(Window(START, MIDNIGHT - timedelta(minutes=1)))
    expected = [(meter, MIDNIGHT - FLEET.interval) for meter in meters]
    assert last.sort("device_id").rows() == expected
    assert filled.snapshot().last_times(Window(END + timedelta(days=1))).rows() == []


def test_readings_at_odd_seconds_are_found(repository: ReadingsRepository) -> None:
    times = [START + timedelta(seconds=7 * n, microseconds=n) for n in range(400)]
    jittered = readings_for(Fleet(devices=400), START).with_columns(
        pl.Series("time", times, dtype=frame.INSTANT)
    )
    repository.write(jittered.sample(fraction=1, shuffle=True, seed=1))
    window = Window(times[3], times[390])
    expected = jittered.sort(frame.ORDER).slice(3, 388)
    assert page_through(repository, window, size=50).equals(expected)
    assert pl.concat(repository.snapshot().frames(window)).equals(expected)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_an_extract_is_opened_by_its_name_and_read_in_pieces(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = everything.filter(window.predicate()).sort(frame.ORDER)
    created = filled.create_extract(window, "contract/1")
    assert created.minute_counts(window)["readings"].sum() == len(expected)
    assert len(created.name) <= 200

    extract = filled.open_extract(created.name)
    cut = START + timedelta(minutes=40)
    pieces = [
        replace(window, end=min(cut, window.end or cut)),
        replace(window, start=max(window.start, cut + timedelta(microseconds=1))),
    ]
    read = [readings for piece in pieces for readings in extract.frames(piece)]
    assert pl.concat([frame.empty(), *read]).equals(expected)
    filled.delete_extracts("contract")
    assert "contract" not in filled.extract_owners()


def test_an_unreachable_repository_is_unavailable(engine: EngineUnderTest) -> None:
    with pytest.raises(RepositoryUnavailableError):
        open_repository(engine.unreachable_url).snapshot()
