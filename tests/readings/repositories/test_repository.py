"""What every readings repository does, whichever it is."""

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
from readings.repositories import (
    ReadingsRepository,
    RepositoryUnavailableError,
    open_repository,
)
from readings.repositories.base import HOURLY_MEANS_SCHEMA
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Position, Window
from tests.readings.repositories.engines import A_MIDNIGHT, Engine

MIDNIGHT = A_MIDNIGHT
START = MIDNIGHT - timedelta(hours=2)
FLEET = Fleet(devices=300, late_arrivals=True)
INTERVALS = 36
END = START + (INTERVALS - 1) * FLEET.interval
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def everything() -> pl.DataFrame:
    """Three hours of a fleet with late arrivals, across a midnight."""
    return pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])


def fill(store: ReadingsRepository, everything: pl.DataFrame) -> ReadingsRepository:
    """Write readings as they come: on time first, interval by interval, the late ones a day after."""
    on_time = everything.filter(pl.col("arrival_time") == pl.col("time"))
    for interval in on_time.partition_by("time", maintain_order=True):
        store.write(interval)
    store.write(everything.filter(pl.col("arrival_time") > pl.col("time")))
    return store


@pytest.fixture(scope="module")
def filled(engine: Engine, everything: pl.DataFrame) -> Iterator[ReadingsRepository]:
    """A repository with all of it, shared by the tests that only read."""
    with engine.new_store() as url:
        yield fill(open_repository(url), everything)


@pytest.fixture
def refilled(store: ReadingsRepository, everything: pl.DataFrame) -> ReadingsRepository:
    """A repository with all of it, this test's own."""
    return fill(store, everything)


def page_through(store: ReadingsRepository, window: Window, size: int) -> pl.DataFrame:
    pages, offset, more = [frame.empty()], 0, True
    while more:
        page = store.snapshot().page(window, offset=offset, size=size)
        pages.append(page.readings)
        offset, more = offset + len(page.readings), page.more
    return pl.concat(pages)


def test_an_empty_repository_answers_with_nothing(store: ReadingsRepository) -> None:
    snapshot = store.snapshot()
    assert snapshot.page(Window(START), offset=0, size=10).readings.equals(frame.empty())
    assert snapshot.minute_counts(Window(START)).is_empty()
    assert list(snapshot.frames(Window(START))) == []
    assert snapshot.day_summaries().is_empty()
    assert snapshot.meter_count() == 0


WINDOWS = {
    "everything": Window(START),
    "up to an interval, inclusive": Window(START, START + timedelta(minutes=30)),
    "between two intervals": Window(START + timedelta(seconds=1), END - timedelta(seconds=1)),
    "one interval": Window(START, START),
    "before all": Window(START - DAY, START - timedelta(hours=1)),
    "as of an interval": Window(START, as_of=START + timedelta(minutes=55)),
    "as of when half of the late ones had come": Window(
        START, as_of=START + DAY + timedelta(hours=1)
    ),
    "what arrived late": Window(START, arrived_after=END),
    "what arrived between": Window(START, arrived_after=START, as_of=START + DAY),
    "two meters": Window(
        START, device_ids=(FLEET.meters.device_id[7], FLEET.meters.device_id[100])
    ),
    "one meter, as of": Window(START, END, (FLEET.meters.device_id[9],), as_of=END),
    "a meter there is not": Window(START, device_ids=("00000000-0000-0000-0000-000000000000",)),
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_counts_pages_and_frames_hold_just_the_windows_readings(
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
@pytest.mark.parametrize("offset", [0, 1, 299, 300, 301, 5_000, 10_799, 10_800, 2**62])
def test_a_page_is_the_slice_behind_its_offset(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window, offset: int
) -> None:
    expected = everything.filter(window.predicate()).sort(frame.ORDER)
    page = filled.snapshot().page(window, offset=offset, size=100)
    assert page.readings.equals(expected.slice(min(offset, len(expected)), 100))
    assert page.more == (offset + 100 < len(expected))


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_pages_behind_a_position_follow_each_other_without_gap_or_repeat(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = everything.filter(window.predicate()).sort(frame.ORDER)
    snapshot = filled.snapshot()
    page = snapshot.page(window, offset=0, size=450)
    pages = [page.readings]
    while page.more:
        time, device_id = page.readings.select(frame.ORDER).row(-1)
        page = snapshot.page(window, offset=0, size=450, after=Position(time, device_id))
        pages.append(page.readings)
    assert pl.concat(pages).equals(expected)


@pytest.mark.parametrize("seconds", [30, 90, -90], ids=["its minute", "a gap", "before all"])
def test_a_page_behind_a_position_that_no_reading_has_begins_with_the_next_reading(
    filled: ReadingsRepository, everything: pl.DataFrame, seconds: int
) -> None:
    nowhere = Position(START + timedelta(seconds=seconds), FLEET.meters.device_id[7])
    page = filled.snapshot().page(Window(START - DAY), offset=0, size=10, after=nowhere)
    assert page.readings.equals(everything.filter(pl.col("time") > nowhere.time).head(10))


def test_pages_as_of_an_instant_stay_while_late_readings_arrive(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    on_time = everything.filter(pl.col("arrival_time") == pl.col("time"))
    late = everything.filter(pl.col("arrival_time") > pl.col("time"))
    store.write(on_time)
    window = Window(START, as_of=END)
    before = store.snapshot().page(window, offset=1_000, size=500)
    store.write(late)
    assert store.snapshot().page(window, offset=1_000, size=500).readings.equals(before.readings)


def test_writing_the_same_readings_again_changes_nothing(
    filled: ReadingsRepository, everything: pl.DataFrame
) -> None:
    version = filled.snapshot().name
    assert filled.write(everything) == 0
    assert filled.snapshot().name == version


def test_of_a_window_half_written_only_the_rest_is_added(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    half = everything.gather_every(2)
    assert store.write(half) == len(half)
    assert store.write(everything) == len(everything) - len(half)
    assert page_through(store, Window(START), size=5_000).equals(everything)


def test_a_reading_that_is_kept_already_stays_as_it_is(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    store.write(everything)
    assert store.write(everything.with_columns(pl.lit(0.0).alias("kw"))) == 0
    assert page_through(store, Window(START), size=5_000).equals(everything)


def test_a_reading_doubled_within_one_write_is_kept_once(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    assert store.write(pl.concat([everything, everything])) == len(everything)


def test_a_snapshot_that_never_was_is_unavailable(store: ReadingsRepository) -> None:
    with pytest.raises(RepositoryUnavailableError):
        store.snapshot("12345")


def test_writers_at_once_double_nothing_and_lose_nothing(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    halves = [
        everything.filter(pl.col("time") <= START + timedelta(hours=2)),
        everything.filter(pl.col("time") >= START + timedelta(hours=1)),
    ]
    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(store.write, [*halves, *halves]))
    assert sum(written) == len(everything)
    assert page_through(store, Window(START), size=5_000).equals(everything)


def write_in_another_process(url: str) -> None:
    for time in FLEET.intervals(START, END):
        open_repository(url).write(readings_for(FLEET, time))


def test_two_processes_that_write_the_same_window_double_nothing(
    store: ReadingsRepository, everything: pl.DataFrame, settings: Settings
) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=write_in_another_process, args=(settings.READINGS_URL,))
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert page_through(store, Window(START), size=5_000).equals(everything)


def test_nothing_of_the_day_named_or_later_is_forgotten(
    refilled: ReadingsRepository, everything: pl.DataFrame
) -> None:
    refilled.delete_before(MIDNIGHT + timedelta(hours=5))
    assert page_through(refilled, Window(MIDNIGHT), size=5_000).equals(
        everything.filter(pl.col("time") >= MIDNIGHT)
    )


def test_what_ended_a_day_before_the_one_named_is_forgotten(refilled: ReadingsRepository) -> None:
    refilled.delete_before(MIDNIGHT + DAY + timedelta(hours=5))
    before = Window(START, MIDNIGHT - FLEET.interval)
    assert page_through(refilled, before, size=5_000).is_empty()


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_loads_tell_what_each_interval_comes_to(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = (
        everything.filter(window.predicate())
        .group_by(pl.col("time").alias("minute"))
        .agg(
            pl.len().cast(pl.Int64).alias("readings"),
            (pl.col("arrival_time") > pl.col("time")).sum().cast(pl.Int64).alias("late"),
            pl.col("kw").sum(),
        )
        .sort("minute")
    )
    loads = filled.snapshot().interval_totals(window)
    assert loads.drop("kw").equals(expected.drop("kw"))
    assert loads["kw"].to_list() == pytest.approx(expected["kw"].to_list())


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_hours_tell_means_of_what_was_measured(
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
    hours = filled.snapshot().hourly_means(window)
    assert hours.schema == pl.Schema(HOURLY_MEANS_SCHEMA)
    assert hours.drop(measured).equals(expected.drop(measured))
    for name in measured:
        assert hours[name].to_list() == pytest.approx(expected[name].to_list())


def test_days_tell_what_is_kept(filled: ReadingsRepository) -> None:
    rows = filled.snapshot().day_summaries().rows()
    assert rows == [
        (START.date(), START, MIDNIGHT - FLEET.interval, 24 * 300, 24, 300),
        (MIDNIGHT.date(), MIDNIGHT, END, 12 * 300, 12, 300),
    ]


def test_meters_are_counted_once_however_many_days_they_sent(filled: ReadingsRepository) -> None:
    assert filled.snapshot().meter_count() == 300


def test_readings_at_odd_seconds_are_found_like_any_other(store: ReadingsRepository) -> None:
    times = [START + timedelta(seconds=7 * n, microseconds=n) for n in range(400)]
    jittered = readings_for(Fleet(devices=400), START).with_columns(
        pl.Series("time", times, dtype=frame.INSTANT)
    )
    store.write(jittered.sample(fraction=1, shuffle=True, seed=1))
    window = Window(times[3], times[390])
    expected = jittered.sort(frame.ORDER).slice(3, 388)
    assert page_through(store, window, size=50).equals(expected)
    assert pl.concat(store.snapshot().frames(window)).equals(expected)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_an_extract_is_read_in_pieces_by_whoever_knows_its_name(
    filled: ReadingsRepository, everything: pl.DataFrame, window: Window
) -> None:
    expected = everything.filter(window.predicate()).sort(frame.ORDER)
    made = filled.create_extract(window, "contract/1")
    assert made.minute_counts(window)["readings"].sum() == len(expected)
    assert len(made.name) <= 200

    extract = filled.open_extract(made.name)
    cut = START + timedelta(minutes=40)
    pieces = [
        replace(window, end=min(cut, window.end or cut)),
        replace(window, start=max(window.start, cut + timedelta(microseconds=1))),
    ]
    read = [readings for piece in pieces for readings in extract.frames(piece)]
    assert pl.concat([frame.empty(), *read]).equals(expected)
    filled.delete_extracts("contract")
    assert "contract" not in filled.extract_owners()


def test_a_store_that_cannot_be_reached_says_so(engine: Engine) -> None:
    with pytest.raises(RepositoryUnavailableError):
        open_repository(engine.out_of_reach).snapshot()
