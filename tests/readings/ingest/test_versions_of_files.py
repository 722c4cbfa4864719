"""Random files with arrival times, loaded one after the other, compared with a simple model of versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from readings import frame
from readings.ingest.chunk_writer import ChunkWriter
from readings.ingest.corrections import FileColumns
from readings.ingest.row_validation import ROW
from readings.repositories.delta.repository import DeltaRepository
from tests.readings.ingest.stored_readings import all_readings, all_versions

START = datetime(2023, 2, 27, tzinfo=UTC)
COLUMNS = FileColumns.of(["arrival_time", "kwh", "quality"])

Version = tuple[datetime, str, datetime]
Values = tuple[float | None, str | None]

versions = st.tuples(
    st.sampled_from([START, START + timedelta(seconds=30), START + timedelta(minutes=15)]),
    st.sampled_from(["a", "b"]),
    st.integers(0, 4).map(lambda hours: START + timedelta(hours=1 + hours)),
)
values = st.tuples(st.sampled_from([None, 1.0, 2.0]), st.sampled_from([None, "estimated"]))
files = st.lists(st.dictionaries(versions, values, min_size=1, max_size=8), max_size=4)


def as_rows(file: dict[Version, Values]) -> pl.DataFrame:
    rows = pl.DataFrame(
        [(*version, *of_version) for version, of_version in file.items()],
        schema={name: frame.FULL_SCHEMA[name] for name in (*frame.VERSION, "kwh", "quality")},
        orient="row",
    )
    full = frame.with_full_columns(rows).with_columns(measure_name=pl.lit(frame.MEASURE_NAME))
    return full.select(*frame.COLUMNS, "kwh", "quality").with_row_index(ROW).sort(frame.VERSION)


def add_to_model(model: dict[Version, Values], file: dict[Version, Values]) -> list[int]:
    """Return how many versions are new readings, corrections, older versions, and in conflict."""
    counts = [0, 0, 0, 0]
    last: dict[tuple[datetime, str], datetime] = {}
    for version in sorted(model):
        last[version[:2]] = version[2]
    known = set(last)
    for version in sorted(file):
        if version in model:
            counts[3] += model[version] != file[version]
        elif version[:2] in known and version[2] < last[version[:2]]:
            counts[2] += 1
        else:
            counts[version[:2] in known] += 1
            known.add(version[:2])
            last[version[:2]] = version[2]
        model.setdefault(version, file[version])
    return counts


@settings(max_examples=settings().max_examples // 10)
@given(files)
def test_files_give_the_versions_of_the_model(several: list[dict[Version, Values]]) -> None:
    model: dict[Version, Values] = {}
    with TemporaryDirectory() as folder:
        store = DeltaRepository(str(Path(folder) / "readings"))
        for file in several:
            expected = add_to_model(model, file)
            for dry_run in (True, False):
                writer = ChunkWriter(store, COLUMNS, arrive_now=False, dry_run=dry_run)
                new = writer.write(as_rows(file))
                found = writer.differences
                counts = [new, found.corrections.count, found.older, found.conflicts.count]
                assert counts == expected
        columns = [*frame.VERSION, "kwh", "quality"]
        rows = [(*version, *of_version) for version, of_version in sorted(model.items())]
        assert all_versions(store).select(columns).rows() == rows
        valid = {row[:2]: row for row in rows}
        assert all_readings(store, columns).rows() == list(valid.values())
