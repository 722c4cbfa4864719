"""Readings with several versions, tested against every engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import polars as pl
import pytest

from readings import frame
from readings.engines import engine_of
from readings.repositories import ReadingsRepository, open_repository
from readings.window import Window
from tests.readings.repositories.engines import A_MIDNIGHT, EngineUnderTest
from tests.readings.repositories.version_model import (
    follow,
    interval_totals,
    make_versions,
    same,
    valid_readings,
)

MIDNIGHT = A_MIDNIGHT
START = MIDNIGHT - timedelta(hours=1)
STEP = timedelta(minutes=20)
END = START + 5 * STEP
HOUR = timedelta(hours=1)
METERS = [f"{n * 37 % 100:02x}{'0' * 6}-0000-4000-8000-{n:012d}" for n in range(40)]

FIRST = make_versions(METERS, [START + n * STEP for n in range(6)], kw=1.0, kwh=0.25)
"""Readings of 40 meters, on time."""
CORRECTED = FIRST.gather_every(10, offset=3).with_columns(
    pl.col("arrival_time") + timedelta(hours=5),
    kw=pl.lit(2.0),
    kwh=pl.lit(-0.5),
    quality=pl.lit("estimated"),
)
"""One reading in ten, five hours later."""
CORRECTED_AGAIN = CORRECTED.gather_every(3).with_columns(
    pl.col("arrival_time") + timedelta(hours=5), kw=pl.lit(3.0), kwh=pl.lit(None, pl.Float64)
)
VERSIONS = pl.concat([FIRST, CORRECTED, CORRECTED_AGAIN]).sort(frame.VERSION)


@pytest.fixture(scope="module")
def filled(engine: EngineUnderTest) -> Iterator[ReadingsRepository]:
    """A repository with corrected readings, shared by the tests that only read."""
    with engine.new_repository() as url:
        repository = open_repository(url)
        repository.write(FIRST)
        assert repository.write(CORRECTED, corrections=True) == len(CORRECTED)
        assert repository.write(CORRECTED_AGAIN, corrections=True) == len(CORRECTED_AGAIN)
        yield repository


@pytest.fixture
def stored(engine: EngineUnderTest) -> pl.DataFrame:
    """The versions that the engine has after all of them were written."""
    return VERSIONS if keeps_replaced_versions(engine) else frame.valid_versions(VERSIONS)


def keeps_replaced_versions(engine: EngineUnderTest) -> bool:
    return engine_of(engine.unreachable_url).capabilities.keeps_replaced_versions


def page_through(repository: ReadingsRepository, window: Window, size: int) -> pl.DataFrame:
    """Return the readings of all pages, by their offsets."""
    snapshot, pages = repository.snapshot(), [frame.empty(frame.FULL_COLUMNS)]
    offset, more = 0, True
    while more:
        page = snapshot.page(window, offset=offset, size=size, columns=frame.FULL_COLUMNS)
        pages.append(page.readings)
        offset, more = offset + len(page.readings), page.more
    return pl.concat(pages)


WINDOWS = {
    "everything": Window(START),
    "one interval": Window(START + STEP, START + STEP),
    "a part of it": Window(START + timedelta(seconds=1), END - timedelta(seconds=1)),
    "as of a time before the corrections": Window(START, as_of=START + 4 * HOUR),
    "as of a time when half of the intervals were corrected": Window(
        START, as_of=START + 5 * HOUR + 2 * STEP
    ),
    "as of a time between both corrections": Window(START, as_of=START + 8 * HOUR),
    "as of a time when half of them were corrected again": Window(
        START, as_of=START + 10 * HOUR + 2 * STEP
    ),
    "arrived after the first versions": Window(START, arrived_after=END),
    "arrived after some corrections": Window(START, arrived_after=START + 5 * HOUR + 2 * STEP),
    "arrived between both corrections": Window(START, arrived_after=END, as_of=START + 8 * HOUR),
    "two meters": Window(START, device_ids=(METERS[3], METERS[17])),
    "twenty meters": Window(START, device_ids=tuple(METERS[:20])),
    "two meters as of the first correction": Window(
        START, device_ids=(METERS[3], METERS[13]), as_of=START + 8 * HOUR
    ),
    "a meter's corrections": Window(START, device_ids=(METERS[3],), arrived_after=END),
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_counts_pages_and_frames_have_the_valid_version_of_each_reading(
    filled: ReadingsRepository, stored: pl.DataFrame, window: Window
) -> None:
    expected = valid_readings(stored, window)
    snapshot = filled.snapshot()
    counts = snapshot.minute_counts(window)
    assert counts["readings"].sum() == len(expected)
    assert counts["minute"].to_list() == expected["time"].unique().sort().to_list()
    assert same(page_through(filled, window, size=77), expected)
    assert same(follow(filled, window, size=53), expected)
    frames = snapshot.frames(window, columns=frame.FULL_COLUMNS)
    assert same(pl.concat([expected.clear(), *frames]), expected)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_an_extract_has_the_valid_version_of_each_reading(
    filled: ReadingsRepository, stored: pl.DataFrame, window: Window
) -> None:
    expected = valid_readings(stored, window)
    extract = filled.create_extract(window, "corrections/1")
    frames = filled.open_extract(extract.name).frames(window, columns=frame.FULL_COLUMNS)
    assert same(pl.concat([expected.clear(), *frames]), expected)
    filled.delete_extracts("corrections")


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_totals_and_means_are_those_of_the_valid_versions(
    filled: ReadingsRepository, stored: pl.DataFrame, window: Window
) -> None:
    expected = valid_readings(stored, window)
    snapshot = filled.snapshot()
    assert same(snapshot.interval_totals(window), interval_totals(expected))
    means = snapshot.hourly_means(window)
    by_hour = expected.group_by(pl.col("time").dt.truncate("1h").alias("hour"), maintain_order=True)
    energy = pl.when(pl.col("kwh").count() > 0).then(pl.col("kwh").sum()).alias("kwh")
    expected_means = by_hour.agg(pl.col("kw").mean(), energy)
    assert same(means.select("hour", "kw", "kwh"), expected_means)
    last = snapshot.last_times(window).sort("device_id")
    expected_last = expected.group_by("device_id").agg(pl.col("time").max().alias("last"))
    assert same(last, expected_last.sort("device_id"))


def test_a_correction_changes_no_count_of_a_day(filled: ReadingsRepository) -> None:
    summaries = filled.snapshot().day_summaries()
    assert summaries["readings"].to_list() == [120, 120]
    assert summaries["meters"].to_list() == [40, 40]
    assert filled.snapshot().meter_count() == 40


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_all_versions_of_a_reading_are_found(
    filled: ReadingsRepository, stored: pl.DataFrame, window: Window
) -> None:
    expected = stored.filter(window.predicate())
    versions = filled.snapshot().versions(window)
    assert same(pl.concat([expected.clear(), *versions]), expected)


def test_a_corrected_minute_has_another_revision(
    repository: ReadingsRepository, engine: EngineUnderTest
) -> None:
    repository.write(FIRST)
    before = repository.snapshot().minute_revisions(Window(START))
    assert before["readings"].to_list() == [40] * 6
    if keeps_replaced_versions(engine):
        assert before["revision"].to_list() == [0] * 6
        assert not repository.snapshot().may_be_corrected(Window(START))
    one_minute = CORRECTED.filter(pl.col("time") == START + STEP)
    repository.write(one_minute, corrections=True)
    after = repository.snapshot().minute_revisions(Window(START))
    assert after["readings"].to_list() == [40] * 6
    assert (before["revision"] != after["revision"]).to_list() == [False, True, *[False] * 4]
    snapshot = repository.snapshot()
    assert snapshot.may_be_corrected(Window(START))
    assert snapshot.may_be_corrected(Window(START, START + STEP))
    if keeps_replaced_versions(engine):
        assert not snapshot.may_be_corrected(Window(START + timedelta(days=1)))
        assert not snapshot.may_be_corrected(
            Window(START - timedelta(days=2), START - timedelta(days=1))
        )


def test_writing_the_same_versions_again_changes_nothing(
    filled: ReadingsRepository, engine: EngineUnderTest
) -> None:
    if keeps_replaced_versions(engine):
        assert (
            filled.write(VERSIONS.sample(fraction=1, shuffle=True, seed=1), corrections=True) == 0
        )
    assert filled.write(CORRECTED_AGAIN, corrections=True) == 0
    assert filled.write(VERSIONS) == 0


def test_a_version_with_the_same_arrival_and_other_values_is_not_stored(
    filled: ReadingsRepository, stored: pl.DataFrame
) -> None:
    other = CORRECTED_AGAIN.with_columns(kw=pl.lit(99.0))
    assert filled.write(other, corrections=True) == 0
    assert same(
        page_through(filled, Window(START), size=100), valid_readings(stored, Window(START))
    )


def test_without_corrections_a_stored_reading_stays_unchanged(
    repository: ReadingsRepository,
) -> None:
    repository.write(FIRST)
    assert repository.write(CORRECTED) == 0
    assert same(page_through(repository, Window(START), size=100), FIRST)


def test_one_write_may_have_several_versions_of_a_new_reading(
    repository: ReadingsRepository, stored: pl.DataFrame
) -> None:
    assert repository.write(VERSIONS, corrections=True) == len(stored)
    for window in WINDOWS.values():
        assert same(page_through(repository, window, size=1_000), valid_readings(stored, window))


def test_a_version_that_arrived_before_the_stored_one_does_not_replace_it(
    repository: ReadingsRepository, engine: EngineUnderTest
) -> None:
    repository.write(CORRECTED)
    earlier = FIRST.join(CORRECTED, on=frame.ORDER, how="semi")
    repository.write(earlier, corrections=True)
    assert same(page_through(repository, Window(START), size=7), CORRECTED)
    if keeps_replaced_versions(engine):
        before = Window(START, as_of=END)
        assert same(page_through(repository, before, size=7), earlier)


def test_maintenance_keeps_all_versions(
    repository: ReadingsRepository, stored: pl.DataFrame
) -> None:
    repository.write(FIRST)
    for part in pl.concat([CORRECTED, CORRECTED_AGAIN]).iter_slices(4):
        repository.write(part, corrections=True)
    repository.maintain()
    for window in WINDOWS.values():
        assert same(page_through(repository, window, size=1_000), valid_readings(stored, window))
        versions = repository.snapshot().versions(window)
        expected = stored.filter(window.predicate())
        assert same(pl.concat([expected.clear(), *versions]), expected)


def test_a_reading_may_have_energy_only(repository: ReadingsRepository) -> None:
    energy = pl.DataFrame(
        {"time": [START, START], "arrival_time": START, "device_id": ["6102000001", "NMI 7"]},
        schema_overrides=frame.FULL_SCHEMA,
    ).with_columns(measure_name=pl.lit(frame.MEASURE_NAME), kwh=pl.Series([1.5, None]))
    readings = frame.with_full_columns(energy)
    assert repository.write(readings) == 2
    assert same(page_through(repository, Window(START), size=1), readings)
    assert same(follow(repository, Window(START), size=1), readings)
    columns = ["device_id", "quality", "kwh", "kw"]
    frames = repository.snapshot().frames(Window(START), columns=columns)
    assert pl.concat(frames).equals(readings.select(columns))
    [totals] = repository.snapshot().interval_totals(Window(START)).rows()
    assert totals == (START, 2, 0, 0.0, 1.5, 0.0)
    [means] = repository.snapshot().hourly_means(Window(START)).rows()
    assert means[1:] == (2, 0, None, None, None, None, 1.5)


def test_a_mean_is_that_of_the_readings_that_have_the_measure(
    repository: ReadingsRepository,
) -> None:
    is_first = pl.col("device_id") == METERS[0]
    repository.write(FIRST.with_columns(kw=pl.when(is_first).then(None).otherwise(pl.col("kw"))))
    means = repository.snapshot().hourly_means(Window(START))
    assert means["kw"].to_list() == [1.0, 1.0]
