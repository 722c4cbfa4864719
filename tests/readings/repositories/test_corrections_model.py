"""Random writes, corrections, late arrivals and maintenance, compared with a simple model in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readings import frame
from readings.engines import engine_of
from readings.repositories import ReadingsRepository, open_repository
from readings.repositories.delta import compaction, decoded_rows, meter_copy_rows
from readings.window import Window
from tests.readings.repositories.engines import A_MIDNIGHT, Delta, EngineUnderTest
from tests.readings.repositories.version_model import (
    follow,
    interval_totals,
    same,
    valid_readings,
)

START = A_MIDNIGHT - timedelta(minutes=10)
TIMES = [START + timedelta(seconds=seconds) for seconds in (0, 30, 300, 600, 607, 900)]
"""Two of them are in one minute, and three are on the next day."""
METERS = ["00000001-0000-4000-8000-000000000000", "6102000001", "MPAN 7", "ffffffff"]
ARRIVALS = [A_MIDNIGHT + timedelta(hours=hours) for hours in range(5)]


@pytest.fixture(scope="module")
def delta(tmp_path_factory: pytest.TempPathFactory) -> EngineUnderTest:
    return Delta(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module", autouse=True)
def small_blocks_and_frequent_compaction() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoded_rows, "BLOCK_ROWS", 3)
        patch.setattr(decoded_rows, "_MAX_BLOCKS", 4)
        patch.setattr(meter_copy_rows, "_READINGS_PER_PART", 4)
        patch.setattr(compaction, "MIN_FILES", 6)
        patch.setattr(compaction, "MIN_CORRECTION_FILES", 2)
        decoded_rows.decode.cache_clear()
        yield
        decoded_rows.decode.cache_clear()


@dataclass(frozen=True)
class Write:
    """A write of some versions, in any order and perhaps with duplicates."""

    versions: list[tuple[datetime, datetime, str, float | None]]
    corrections: bool

    def frame(self) -> pl.DataFrame:
        rows = pl.DataFrame(
            self.versions,
            schema={
                name: frame.FULL_SCHEMA[name]
                for name in ("time", "arrival_time", "device_id", "kwh")
            },
            orient="row",
        )
        readings = rows.with_columns(
            measure_name=pl.lit(frame.MEASURE_NAME), kw=pl.col("kwh").abs() * 12
        )
        return frame.with_full_columns(readings)


@dataclass(frozen=True)
class Maintain:
    """Compaction and filling the day cache."""


VERSION = st.tuples(
    st.sampled_from(TIMES),
    st.sampled_from(ARRIVALS),
    st.sampled_from(METERS),
    st.none() | st.integers(-4, 4).map(float),
)
ACTIONS = st.lists(
    st.builds(Write, st.lists(VERSION, min_size=1, max_size=20), st.booleans())
    | st.builds(Write, st.lists(VERSION, min_size=1, max_size=4), st.just(True))
    | st.builds(Maintain),
    min_size=2,
    max_size=9,
)
ARRIVAL_BOUND = st.none() | st.sampled_from(ARRIVALS)
WINDOWS = st.builds(
    Window,
    start=st.sampled_from([START, *TIMES[1:4]]),
    end=st.none() | st.sampled_from(TIMES),
    device_ids=st.lists(st.sampled_from(METERS), max_size=2, unique=True).map(tuple),
    arrived_after=ARRIVAL_BOUND,
    as_of=ARRIVAL_BOUND,
)


class Model:
    """The stored versions, by time, meter and arrival time."""

    def __init__(self, *, keeps_replaced_versions: bool) -> None:
        self._keeps_replaced_versions = keeps_replaced_versions
        self._versions: dict[tuple[datetime, str], dict[datetime, float | None]] = {}

    def write(self, write: Write) -> int:
        """Store the versions that are new, and return how many were new."""
        new = {
            (time, device_id, arrival_time): kwh
            for time, arrival_time, device_id, kwh in reversed(write.versions)
        }
        if not write.corrections:
            first = {
                (time, device_id): arrival
                for time, arrival, device_id, _ in reversed(write.versions)
            }
            new = {
                version: kwh
                for version, kwh in new.items()
                if version[:2] not in self._versions and first[version[:2]] == version[2]
            }
        before = self._all()
        for (time, device_id, arrival_time), kwh in new.items():
            self._versions.setdefault((time, device_id), {}).setdefault(arrival_time, kwh)
        if not self._keeps_replaced_versions:
            self._versions = {key: {max(of): of[max(of)]} for key, of in self._versions.items()}
        return len(self._all() - before)

    def frame(self) -> pl.DataFrame:
        """Return the versions, sorted by ``frame.VERSION``."""
        rows = [
            (time, arrival_time, device_id, self._versions[time, device_id][arrival_time])
            for time, device_id, arrival_time in self._all()
        ]
        return Write(rows, corrections=True).frame().sort(frame.VERSION)

    def _all(self) -> set[tuple[datetime, str, datetime]]:
        return {(*key, arrival_time) for key, of in self._versions.items() for arrival_time in of}


INPUT = {
    "actions": ACTIONS,
    "windows": st.lists(WINDOWS, min_size=3, max_size=5),
    "size": st.integers(1, 7),
}


@given(**INPUT)
@settings(
    max_examples=settings().max_examples // 4, suppress_health_check=[HealthCheck.data_too_large]
)
def test_delta_equals_the_model(
    delta: EngineUnderTest, actions: list[Write | Maintain], windows: list[Window], size: int
) -> None:
    assert_equals_model(delta, actions, windows, size)


# Larger pages: each one is two or three calls of a server.
@given(**(INPUT | {"size": st.integers(5, 15)}))
@settings(max_examples=2, suppress_health_check=[HealthCheck.data_too_large])
def test_each_engine_equals_the_model(
    engine: EngineUnderTest, actions: list[Write | Maintain], windows: list[Window], size: int
) -> None:
    assert_equals_model(engine, actions, windows, size)


def assert_equals_model(
    engine: EngineUnderTest, actions: list[Write | Maintain], windows: list[Window], size: int
) -> None:
    capabilities = engine_of(engine.unreachable_url).capabilities
    model = Model(keeps_replaced_versions=capabilities.keeps_replaced_versions)
    with engine.new_repository() as url:
        repository = open_repository(url)
        for action in actions:
            if isinstance(action, Maintain):
                repository.maintain()
            else:
                written = repository.write(action.frame(), corrections=action.corrections)
                assert written == model.write(action)
            assert_equal(repository, model.frame(), windows[0], size)
        # Another process has neither the blocks nor the counts in memory.
        for window in [Window(START), *windows]:
            assert_equal(open_repository(url), model.frame(), window, size)


def assert_equal(
    repository: ReadingsRepository, versions: pl.DataFrame, window: Window, size: int
) -> None:
    expected = valid_readings(versions, window)
    snapshot = repository.snapshot()
    page = snapshot.page(window, offset=size, size=size, columns=frame.FULL_COLUMNS)
    assert same(page.readings, expected.slice(size, size))
    assert page.more == (2 * size < len(expected))
    assert same(follow(repository, window, size), expected)
    copied = [name for name in frame.FULL_COLUMNS if name not in ("import_kwh", "export_kwh")]
    page = snapshot.page(window, offset=0, size=1000, columns=copied)
    assert same(page.readings, expected.select(copied))
    frames = snapshot.frames(window, columns=frame.FULL_COLUMNS)
    assert same(pl.concat([expected.clear(), *frames]), expected)
    counts = expected.group_by(pl.col("time").dt.truncate("1m").alias("minute")).len("readings")
    assert same(snapshot.minute_counts(window), counts.sort("minute").cast({"readings": pl.Int64}))
    assert same(snapshot.interval_totals(window), interval_totals(expected))
    hours = expected.group_by(pl.col("time").dt.truncate("1h").alias("hour"), maintain_order=True)
    assert same(snapshot.hourly_means(window).select("hour", "kw"), hours.agg(pl.col("kw").mean()))
    last_times = expected.group_by("device_id").agg(pl.col("time").max().alias("last"))
    assert same(snapshot.last_times(window).sort("device_id"), last_times.sort("device_id"))
    meters = (
        versions.unique(frame.ORDER)
        .group_by("device_id")
        .agg(
            pl.col("time").min().alias("first"),
            pl.col("time").max().alias("last"),
            pl.len().cast(pl.Int64).alias("readings"),
        )
    )
    assert same(snapshot.meter_summaries(METERS), meters.sort("device_id"))
    found = pl.concat([expected.clear(), *snapshot.versions(window)])
    assert same(found, versions.filter(window.predicate()))
