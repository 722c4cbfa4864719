"""ClickHouse: tables of earlier releases, and writers that insert different versions at the same moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from readings import frame
from readings.repositories import ReadingsRepository, open_repository, open_store
from readings.repositories.clickhouse.address import ClickHouseAddress
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.query import Query
from readings.repositories.clickhouse.repository import ClickHouseRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.services.clickhouse import ClickHouseLocal

START = datetime(2023, 2, 27, 23, 55, tzinfo=UTC)
ALL = Window(START)
OLD = readings_for(Fleet(devices=20), START)
NEW = frame.with_full_columns(OLD).with_columns(
    pl.col("time", "arrival_time") + timedelta(minutes=10),
    kwh=pl.lit(0.5),
    quality=pl.lit("measured"),
)
LATER = NEW.with_columns(pl.col("arrival_time") + timedelta(hours=1), kw=pl.lit(None, pl.Float64))


@pytest.fixture
def url(clickhouse: ClickHouseLocal) -> Iterator[str]:
    """The ``READINGS_URL`` of a database with an empty table."""
    with clickhouse.new_database() as url:
        open_store(url).create()
        yield url


def database_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


@pytest.fixture
def old_url(clickhouse: ClickHouseLocal, url: str) -> str:
    """The ``READINGS_URL`` of a table as the first release with ClickHouse created it, with an interval."""
    further = ", ".join(f"DROP COLUMN {name}" for name in frame.FURTHER_SCHEMA)
    kinds = {"load": "Int64", **dict.fromkeys(("crrnt", "pf", "kva", "kw", "vltg"), "Float64")}
    not_null = ", ".join(f"MODIFY COLUMN {name} {kind} DEFAULT 0" for name, kind in kinds.items())
    no_default = ", ".join(f"MODIFY COLUMN {name} REMOVE DEFAULT" for name in kinds)
    for change in (further, not_null, no_default):
        clickhouse.run(f"ALTER TABLE {database_of(url)}.readings {change}")
    open_repository(url).write(OLD)
    return url


def all_versions(repository: ReadingsRepository) -> pl.DataFrame:
    return pl.concat(repository.snapshot().versions(ALL))


def types(clickhouse: ClickHouseLocal, url: str) -> dict[str, str]:
    rows = clickhouse.run(
        f"SELECT name, type FROM system.columns WHERE database = '{database_of(url)}' FORMAT TSV"
    )
    return dict(line.split("\t") for line in rows.splitlines())


def test_a_table_of_an_earlier_release_works_unchanged(
    clickhouse: ClickHouseLocal, old_url: str
) -> None:
    repository = open_repository(old_url)
    repository.check()
    assert_frame_equal(all_versions(repository), frame.with_full_columns(OLD))
    assert repository.snapshot().interval_totals(ALL)["import_kwh"].to_list() == [0.0]
    assert "kwh" not in types(clickhouse, old_url)
    assert types(clickhouse, old_url)["kw"] == "Float64"


def test_a_write_adds_the_columns_that_it_needs(clickhouse: ClickHouseLocal, old_url: str) -> None:
    reader = ClickHouseRepository(ClickHouseAddress.of(old_url))
    assert all_versions(reader)["kwh"].null_count() == len(OLD)
    writer = open_repository(old_url)
    writer.write(NEW)
    assert types(clickhouse, old_url)["kw"] == "Float64"
    writer.write(LATER, corrections=True)
    assert types(clickhouse, old_url)["kw"] == "Nullable(Float64)"
    expected = pl.concat([frame.with_full_columns(OLD), NEW, LATER]).sort(frame.VERSION)
    for repository in (writer, reader):
        assert_frame_equal(all_versions(repository), expected)


def test_store_create_adds_the_missing_columns(clickhouse: ClickHouseLocal, old_url: str) -> None:
    lines = open_store(old_url).create()
    assert lines[1:] == ["columns kwh, import_kwh, export_kwh, quality: added"]
    assert types(clickhouse, old_url).keys() >= frame.FURTHER_SCHEMA.keys()
    assert open_store(old_url).create() == lines[:1]


def test_both_versions_stay_if_two_writers_insert_different_first_ones(
    clickhouse: ClickHouseLocal, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, other = open_repository(url), ClickHouseRepository(ClickHouseAddress.of(url))
    assert isinstance(writer, ClickHouseRepository)
    insert = writer._insert

    def insert_after_another_writer(rows: pl.DataFrame) -> None:
        monkeypatch.undo()
        assert other.write(LATER, corrections=True) == len(LATER)
        insert(rows)

    monkeypatch.setattr(writer, "_insert", insert_after_another_writer)
    assert writer.write(NEW, corrections=True) == len(NEW)
    clickhouse.run(f"OPTIMIZE TABLE {database_of(url)}.readings FINAL")
    assert_frame_equal(all_versions(writer), pl.concat([NEW, LATER]).sort(frame.VERSION))
    assert writer.write(NEW, corrections=True) == 0
    counts = writer.snapshot().minute_revisions(ALL)
    assert counts.select("readings", "revision").row(0) == (len(NEW), len(NEW))


def test_only_minutes_with_corrections_are_searched_for_versions(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = open_repository(url)
    repository.write(pl.concat([frame.with_full_columns(OLD), NEW]))
    repository.write(LATER, corrections=True)
    snapshot = repository.snapshot()
    snapshot.minute_counts(ALL)
    texts: list[str] = []
    call = Client.frame

    def recorded(client: Client, query: Query, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        texts.append(query.text)
        return call(client, query, schema)

    monkeypatch.setattr(Client, "frame", recorded)
    snapshot.page(ALL, offset=5, size=10)
    snapshot.page(Window(START, START, (OLD["device_id"][3],)), offset=0, size=1)
    assert ["LIMIT 1 BY" in text for text in texts] == [False, False]
    snapshot.page(ALL, offset=25, size=10)
    assert ["LIMIT 1 BY" in text for text in texts[2:]] == [True]
