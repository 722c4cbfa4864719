"""``manage.py store``: create, show and destroy a store of any engine."""

from __future__ import annotations

import io
import os
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from headend.deployment.exclusive_use import lock_home
from readings.engines import engine_of
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.new_repository import create_repository
from tests.services.timestream import TimestreamLocal

FLEET = Fleet(devices=20)
FIRST, LAST = datetime(2023, 2, 27, 23, 55, tzinfo=UTC), datetime(2023, 2, 28, 0, 5, tzinfo=UTC)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("store", *arguments, stdout=out)
    return out.getvalue()


def write_three_intervals(repository: ReadingsRepository) -> None:
    for time in FLEET.intervals(FIRST, LAST):
        repository.write(readings_for(FLEET, time))


@pytest.fixture(
    scope="session",
    params=["delta", pytest.param("timestream", marks=pytest.mark.starts_processes)],
)
def server(request: pytest.FixtureRequest) -> TimestreamLocal | None:
    """The server of Timestream, or None for Delta."""
    return request.getfixturevalue("timestream") if request.param == "timestream" else None


@pytest.fixture
def url(server: TimestreamLocal | None, settings: Settings, tmp_path: Path) -> str:
    """The URL of a store of each engine that does not exist yet. It is the deployment's."""
    if server is None:
        settings.READINGS_URL = f"delta://{tmp_path}/readings"
    else:
        settings.READINGS_URL = server.url_of(f"d-{uuid.uuid4().hex}", "readings")
    return str(settings.READINGS_URL)


@pytest.fixture
def type_name(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets what the user types."""

    def set_text(text: str) -> None:
        monkeypatch.setattr("builtins.input", lambda _: text)

    return set_text


def test_create_says_what_it_did_and_changes_nothing_the_second_time(url: str) -> None:
    assert "does not exist; `python manage.py store create` creates it" in run("status")
    first = run("create")
    assert "created" in first
    assert "exists already" not in first
    second = run("create")
    assert "exists already" in second
    assert "created" not in second


def test_the_status_of_a_missing_store_creates_nothing(url: str, tmp_path: Path) -> None:
    run("status")
    assert not (tmp_path / "readings").exists()


def test_the_status_of_an_empty_store_shows_no_readings(url: str) -> None:
    run("create")
    assert "readings  0, on 0 days" in run("status")


def test_the_status_shows_the_readings_and_the_capabilities(
    store: ReadingsRepository, settings: Settings
) -> None:
    write_three_intervals(store)
    lines = run("status").splitlines()
    assert lines[:6] == [
        "engine    Delta Lake on disk",
        f"address   {settings.READINGS_URL}",
        "readings  60, on 2 days",
        "first     2023-02-27 23:55:00.000000",
        "last      2023-02-28 00:05:00.000000",
        lines[5],
    ]
    assert lines[5].startswith("size      ")
    assert lines[5] != "size      0 bytes"
    assert lines[6:] == [
        f"  {'+' if has_it else '-'} {sentence}"
        for has_it, sentence in engine_of(settings.READINGS_URL).capabilities.sentences()
    ]


@pytest.mark.starts_processes
def test_the_status_of_timestream_shows_its_retention(
    timestream: TimestreamLocal, settings: Settings
) -> None:
    settings.READINGS_URL = timestream.url_of(f"d-{uuid.uuid4().hex}", "readings")
    run("create")
    output = run("status")
    assert "engine    Amazon Timestream" in output
    assert "size      not known" in output
    assert "168 h in the memory store and are deleted after 30 days" in output
    assert "  - No old versions are kept" in output


def test_destroy_deletes_the_store_and_can_be_repeated(url: str) -> None:
    run("create")
    assert "deleted" in run("destroy", "--yes")
    assert "does not exist" in run("status")
    assert "does not exist" in run("destroy", "--yes")


def test_destroy_deletes_everything_that_the_repository_wrote(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    write_three_intervals(store)
    assert store.maintain()["days counted"] == 2
    assert (tmp_path / "readings" / "_minutes").exists()
    assert run("destroy", "--yes") == f"table {tmp_path}/readings: deleted\n"
    assert not (tmp_path / "readings").exists()


def test_destroy_asks_for_the_exact_name(
    url: str, tmp_path: Path, type_name: Callable[[str], None]
) -> None:
    run("create")
    type_name("yes")
    with pytest.raises(CommandError, match=r"'yes' is not .*Nothing was deleted"):
        run("destroy")
    assert "readings  0" in run("status")
    name = f"{tmp_path}/readings" if url.startswith("delta") else url.split("/")[2] + ".readings"
    type_name(name)
    assert "deleted" in run("destroy")


def test_without_a_terminal_destroy_needs_yes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("create")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match=r"Nothing was deleted. Add --yes to confirm"):
        run("destroy")


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "day=2023-02-27/notes.txt", "_minutes/notes.txt", "other/readings.parquet", "day=x/y"],
)  # fmt: skip
def test_a_folder_with_other_files_is_not_deleted(
    store: ReadingsRepository, tmp_path: Path, name: str
) -> None:
    write_three_intervals(store)
    other = tmp_path / "readings" / name
    other.parent.mkdir(exist_ok=True)
    other.write_text("ours")
    with pytest.raises(CommandError, match=r"holds other files.*Nothing was deleted"):
        run("destroy", "--yes")
    assert len(store.snapshot().minute_counts(Window(FIRST))) == 3
    assert other.exists()


def test_a_link_to_another_folder_is_not_followed(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    write_three_intervals(store)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "readings" / "day=2023-03-01").symlink_to(elsewhere)
    with pytest.raises(CommandError, match="holds other files: day=2023-03-01"):
        run("destroy", "--yes")


def test_an_interrupted_deletion_is_completed_by_the_next_one(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    write_three_intervals(store)
    shutil.rmtree(tmp_path / "readings" / "_delta_log")
    assert "deleted" in run("destroy", "--yes")
    assert not (tmp_path / "readings").exists()


def test_the_store_of_a_running_deployment_is_not_destroyed_by_another_name_of_its_server(
    settings: Settings, tmp_path: Path
) -> None:
    settings.HEADEND_HOME = tmp_path
    settings.READINGS_URL = "clickhouse://127.0.0.1:9/readings?secure=off"
    lock = lock_home(tmp_path)
    try:
        with pytest.raises(CommandError, match=r"uses .*Stop it first"):
            run("destroy", "clickhouse://localhost:9/readings?secure=off", "--yes")
    finally:
        os.close(lock)


def test_the_store_of_a_running_deployment_is_not_destroyed(
    store: ReadingsRepository, settings: Settings, tmp_path: Path
) -> None:
    settings.HEADEND_HOME = tmp_path
    store.snapshot()
    lock = lock_home(tmp_path)
    try:
        with pytest.raises(CommandError, match=r"uses .*Stop it first"):
            run("destroy", "--yes")
        create_repository(f"delta://{tmp_path}/other")
        assert "deleted" in run("destroy", f"delta://{tmp_path}/other", "--yes")
    finally:
        os.close(lock)
    assert "deleted" in run("destroy", "--yes")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://x", "URL: ftp:// is not a scheme of a readings repository; use delta:///folder"),
        ("delta://relative", "write a folder with three slashes"),
        ("/srv/readings", "URL: this is not a URL, because it has no ://; use delta:///folder"),
        ("delta:///x?region=a", "only delta[+]s3://bucket/prefix[?]region=… has options"),
        ("delta:///tmp/[1]", "a Delta table cannot be in"),
        ("timestream://x", "URL: 'x' is not a valid name of a Timestream database or table"),
        ("timestream://devices/readings?bukcet=x", "bukcet is not a known option"),
    ],
)
@pytest.mark.parametrize("action", ["create", "status", "destroy"])
def test_a_wrong_url_is_refused_with_one_line(action: str, url: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        run(action, url)
    assert "\n" not in str(refused.value)


def test_a_folder_that_cannot_be_created_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        run("create", f"delta://{tmp_path}/missing/readings")
    assert str(refused.value) == (
        f"The table {tmp_path}/missing/readings cannot be created, because the folder {tmp_path}/missing does not"
        " exist. Create the folder, or correct the URL."
    )
