"""The example client ends with exactly the stored readings, even if readings arrive late or a pull is interrupted."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from examples import synchronise
from exports.models import Supplier
from readings import frame
from readings.ingest.deployment_fleet import deployment_fleet
from readings.ingest.live import write_due_readings
from readings.instants import FIRST_INSTANT
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.suppliers import api_client

URL = "http://testserver"
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
OTHER_FLEET = Fleet(devices=30, seed=7)


class Deployment:
    """A deployment with a clock, a live fleet with late readings, loads, and a client whose calls can fail."""

    def __init__(
        self, store: ReadingsRepository, client: APIClient, clock: pytest.MonkeyPatch, folder: Path
    ):
        self.store = store
        self._folder = folder
        self.now = START
        self.calls_left: float = float("inf")
        self._client = client
        self._loads = 0
        clock.setattr(timezone, "now", lambda: self.now)

    def beat(self) -> None:
        """Write what is due of the live fleet."""
        write_due_readings(deployment_fleet(), self.store, self.now)

    def load(self) -> None:
        """Load a file with readings of another fleet, of a month ago."""
        time = START - timedelta(days=30) + self._loads * timedelta(minutes=5)
        self._loads += 1
        file = self._folder / f"{self._loads}.csv"
        readings = frame.with_instants_as_text(readings_for(OTHER_FLEET, time))
        readings.drop("arrival_time").write_csv(file)
        call_command("load", str(file), stdout=StringIO())

    def correct(self) -> int:
        """Correct all stored readings, which get energy and a quality, and return how many."""
        [*frames] = self.store.snapshot().frames(Window(FIRST_INSTANT))
        corrected = pl.concat(frames).with_columns(
            frame.literal(self.now).alias("arrival_time"),
            pl.col("kw") + 1,
            kwh=pl.lit(1.5),
            quality=pl.lit("estimated"),
        )
        return self.store.write(corrected, corrections=True)

    def get_page(self, url: str) -> dict[str, Any]:
        """Return a page of the API, or raise ``OSError`` if the connection is broken."""
        self.calls_left -= 1
        if self.calls_left < 0:
            raise OSError("The connection is broken.")
        page: dict[str, Any] = self._client.get(url).json()
        return page

    def stored(self) -> pl.DataFrame:
        """Return all stored readings with the columns of the copy."""
        columns = synchronise.COLUMNS
        frames = self.store.snapshot().frames(Window(FIRST_INSTANT), columns=columns)
        return frame.with_instants_as_text(pl.concat(frames))


@pytest.fixture
def deployment(
    db: None,
    settings: Settings,
    store: ReadingsRepository,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Deployment:
    """A deployment whose fleet has 20 meters; 30 % of its readings are seven minutes late."""
    settings.SIMULATION = True
    settings.SIMULATION_DEVICES = 20
    settings.SIMULATION_LATE_ARRIVALS = True
    settings.SIMULATION_LATE_PERCENT = 30
    settings.SIMULATION_LATE_MINUTES = 7
    # Most pages end inside an interval.
    monkeypatch.setattr(synchronise, "PAGE_SIZE", 17)
    client = api_client(Supplier.objects.create(name="alice"))
    return Deployment(store, client, monkeypatch, tmp_path)


def copied(copy: sqlite3.Connection) -> pl.DataFrame:
    """Return all readings of the copy, in order."""
    names = ", ".join(synchronise.COLUMNS)
    rows = copy.execute(f"SELECT {names} FROM readings ORDER BY time, device_id").fetchall()
    return pl.DataFrame(rows, schema=synchronise.COLUMNS, orient="row", infer_schema_length=None)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_copy_is_exact_after_late_arrivals_loads_stops_and_broken_connections(
    deployment: Deployment, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    stopped_until, broken, seen = START, 0, 0
    for _ in range(60):
        deployment.now += timedelta(seconds=chance.choice([20, 45, 60, 90]))
        if chance.random() < 0.05:
            stopped_until = deployment.now + timedelta(minutes=chance.choice([6, 12]))
        if deployment.now >= stopped_until:
            deployment.beat()
        if chance.random() < 0.2:
            deployment.load()
        if chance.random() < 0.6:
            deployment.calls_left = chance.choice([0, 1, 2, 1000, 1000])
            try:
                seen += synchronise.pull(copy, deployment.get_page, URL)
            except OSError:
                broken += 1
                # The client starts again.
                copy.close()
                copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    assert broken > 5

    deployment.calls_left = float("inf")
    deployment.beat()
    deployment.now += timedelta(minutes=2)
    seen += synchronise.pull(copy, deployment.get_page, URL)

    stored = deployment.stored()
    assert len(stored) > 400
    assert (stored["arrival_time"] > stored["time"]).any()
    assert copied(copy).rows() == stored.rows()
    # A pull that was not interrupted never returns a reading again.
    assert seen == len(stored)


def test_a_pull_replaces_corrected_readings(deployment: Deployment, tmp_path: Path) -> None:
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    deployment.load()
    deployment.beat()
    deployment.now += timedelta(minutes=2)
    first = synchronise.pull(copy, deployment.get_page, URL)
    corrected = deployment.correct()
    deployment.beat()
    deployment.now += timedelta(minutes=2)
    assert synchronise.pull(copy, deployment.get_page, URL) == corrected == first > 30
    assert copied(copy).rows() == deployment.stored().rows()


def test_the_copy_has_all_columns_of_a_reading() -> None:
    assert synchronise.COLUMNS == frame.FULL_COLUMNS


def test_a_copy_without_energy_gets_the_new_columns_of_all_readings(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.load()
    deployment.beat()
    deployment.now += timedelta(minutes=2)
    deployment.correct()
    deployment.beat()
    deployment.now += timedelta(minutes=2)
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    synchronise.pull(copy, deployment.get_page, URL)
    for column in ("measure_name", *frame.FURTHER_SCHEMA):
        copy.execute(f"ALTER TABLE readings DROP COLUMN {column}")
    copy.close()
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    stored = deployment.stored()
    assert synchronise.pull(copy, deployment.get_page, URL) == len(stored) > 30
    assert copied(copy).rows() == stored.rows()
    assert copied(copy)["kwh"].null_count() < len(stored)


def test_readings_that_arrive_during_a_pull_are_in_the_next_one(
    deployment: Deployment, tmp_path: Path
) -> None:
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    deployment.beat()
    deployment.now += timedelta(minutes=3)

    def get_page(url: str) -> dict[str, Any]:
        page = deployment.get_page(url)
        deployment.load()
        deployment.now += timedelta(minutes=2)
        deployment.beat()
        return page

    synchronise.pull(copy, get_page, URL)
    deployment.now += timedelta(minutes=2)
    deployment.beat()
    synchronise.pull(copy, deployment.get_page, URL)
    stored = deployment.stored().filter(
        pl.col("arrival_time") <= copy.execute("SELECT as_of FROM last_pull").fetchone()[0]
    )
    assert copied(copy).rows() == stored.rows()


def test_progress_is_printed_after_each_page_but_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = dict.fromkeys(synchronise.COLUMNS, 1)
    pages = iter(
        {
            "filter_params": {"as_of": "2026-05-01"},
            "records": [reading | {"time": n}],
            "next": following,
        }
        for n, following in enumerate(["second", "third", None])
    )
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    assert synchronise.pull(copy, lambda _: next(pages), URL) == 3
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "1 readings so far\n2 readings so far\n")


def test_a_missing_key_is_an_error_of_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADEND_KEY", raising=False)
    monkeypatch.setattr("sys.argv", ["synchronise.py", URL, "copy.sqlite3"])
    with pytest.raises(SystemExit, match="HEADEND_KEY is not set"):
        synchronise.main()


def test_the_client_is_short() -> None:
    assert len(Path(synchronise.__file__).read_text().splitlines()) < 120
