"""Every engine's store, and the capabilities that its engine declares."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from readings.engines import Capabilities, engine_of
from readings.repositories import (
    ReadingsRepository,
    RepositoryUnavailableError,
    Store,
    open_repository,
    open_store,
)
from readings.repositories.contents import Contents, contents_of
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.repositories.engines import A_MIDNIGHT, EngineUnderTest

FLEET = Fleet(devices=20)
BEFORE, AFTER = A_MIDNIGHT - timedelta(minutes=5), A_MIDNIGHT + timedelta(minutes=5)


@pytest.fixture
def opened(repository: ReadingsRepository, settings: Settings) -> Store:
    """The store of the empty repository."""
    return open_store(settings.READINGS_URL)


@pytest.fixture
def capabilities(repository: ReadingsRepository, settings: Settings) -> Capabilities:
    """What the engine declares."""
    return engine_of(settings.READINGS_URL).capabilities


def write(repository: ReadingsRepository) -> None:
    for time in FLEET.intervals(BEFORE, AFTER):
        repository.write(readings_for(FLEET, time))


def test_the_contents_are_counted(repository: ReadingsRepository) -> None:
    assert contents_of(repository.snapshot()) == Contents()
    write(repository)
    snapshot = repository.snapshot()
    assert contents_of(snapshot) == Contents(60, 2, BEFORE, AFTER)
    second_day = Window(A_MIDNIGHT + timedelta(seconds=1), AFTER)
    assert contents_of(snapshot, second_day) == Contents(20, 1, AFTER, AFTER)
    assert contents_of(snapshot, Window(AFTER + timedelta(days=1))) == Contents()


def test_destroy_deletes_all_readings(
    repository: ReadingsRepository, opened: Store, settings: Settings
) -> None:
    write(repository)
    assert opened.exists()
    assert any("deleted" in line for line in opened.destroy())
    assert not opened.exists()
    assert any("does not exist" in line for line in opened.destroy())
    assert any("created" in line for line in opened.create())
    assert opened.exists()
    assert not any("created" in line for line in opened.create())
    # As another process does, which has read nothing yet.
    opened_again = open_repository.__wrapped__(settings.READINGS_URL)
    assert contents_of(opened_again.snapshot()) == Contents()


def test_a_deleted_table_is_an_error_until_it_is_created_again(
    repository: ReadingsRepository, opened: Store, settings: Settings
) -> None:
    deleted_id = repository.table_id()
    opened.destroy()
    another = open_repository.__wrapped__(settings.READINGS_URL)
    for use in (another.snapshot, lambda: write(another)):
        with pytest.raises(RepositoryUnavailableError, match="does not exist"):
            use()
    assert not opened.exists()
    opened.create()
    assert repository.table_id() == another.table_id()
    # Timestream has no ids of tables.
    is_timestream = settings.READINGS_URL.startswith("timestream")
    assert (another.table_id() == deleted_id) == is_timestream


def test_two_urls_of_one_store_have_one_identity(opened: Store, settings: Settings) -> None:
    assert open_store(settings.READINGS_URL).identity == opened.identity
    assert opened.name in opened.identity


def test_the_size_is_known_if_the_engine_declares_it(
    repository: ReadingsRepository, opened: Store, capabilities: Capabilities
) -> None:
    write(repository)
    size = opened.size()
    assert (size is not None) == capabilities.knows_its_size
    assert size is None or size > 0


def test_old_versions_are_kept_if_the_engine_declares_it(
    repository: ReadingsRepository, capabilities: Capabilities
) -> None:
    write(repository)
    old = repository.snapshot().name
    repository.write(readings_for(FLEET, AFTER + timedelta(minutes=5)))
    assert contents_of(repository.snapshot(old)).readings == (
        60 if capabilities.keeps_versions else 80
    )
    with pytest.raises(RepositoryUnavailableError):
        repository.snapshot("999999")


def test_times_are_refused_unless_the_engine_declares_that_it_accepts_them(
    opened: Store, capabilities: Capabilities
) -> None:
    assert opened.refusal(BEFORE, AFTER) is None
    future = AFTER + timedelta(days=3650)
    refusal = opened.refusal(BEFORE, future)
    assert (refusal is None) == capabilities.accepts_any_time


def test_an_unreachable_store_is_an_error_of_one_line(engine: EngineUnderTest) -> None:
    with pytest.raises(RepositoryUnavailableError) as unreachable:
        open_store(engine.unreachable_url).create()
    assert "\n" not in str(unreachable.value)


def test_opening_a_store_connects_to_nothing(engine: EngineUnderTest) -> None:
    assert open_store(engine.unreachable_url).identity


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("clickhouse://127.0.0.1:1/a?secure=off", "clickhouse://localhost:1/a?secure=off", True),
        ("clickhouse://127.0.0.1:1/a?secure=off", "clickhouse://u:p@127.0.0.1/a", True),
        ("clickhouse://127.0.0.1:1/a?secure=off", "clickhouse://127.0.0.1:2/a?secure=off", False),
        ("clickhouse://127.0.0.1/a", "clickhouse://127.0.0.1/b", False),
        ("clickhouse://127.0.0.1/a", "clickhouse://192.0.2.1/a", False),
        ("delta+s3://abc/p?endpoint_url=http://127.0.0.1:1", "delta+s3://abc/p?endpoint_url=http://localhost:1/", True),
        ("delta+s3://abc/p?endpoint_url=http://127.0.0.1:1", "delta+s3://abc/p?endpoint_url=http://127.0.0.1:2", False),
        ("delta+s3://abc/p?endpoint_url=http://127.0.0.1:1", "delta+s3://abc/q?endpoint_url=http://127.0.0.1:1", False),
        ("delta+s3://abc/p?region=eu-west-1", "delta+s3://abc/p?endpoint_url=https://s3.eu-west-1.amazonaws.com", True),
        ("delta+s3://abc/p?region=eu-west-1", "delta+s3://abc/p?endpoint_url=http://127.0.0.1:1", False),
        ("delta+s3://abc/p", "clickhouse://127.0.0.1/a", False),
        ("delta:///tmp/a", "delta:///tmp/../tmp/a", True),
        ("delta:///tmp/a", "delta:///tmp/b", False),
    ],
)  # fmt: skip
def test_two_urls_of_one_place_are_the_same_store(one: str, other: str, same: bool) -> None:
    assert open_store(one).is_same_place(open_store(other)) is same
    assert open_store(other).is_same_place(open_store(one)) is same
