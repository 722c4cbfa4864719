"""``/health/live`` and ``/health/ready``."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from headend.monitoring import health
from headend.monitoring.health import PROBES, Probe, Readiness
from readings.described_table import describe
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.readings.new_repository import create_repository

ALL_OK = {"database": "ok", "broker": "ok", "store": "ok", "storage": "ok"}


@pytest.fixture(autouse=True)
def no_cached_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all probes at the first request of the test."""
    monkeypatch.setattr(health, "readiness", Readiness(*PROBES))


@pytest.fixture(autouse=True)
def deployment(
    db: None, store: ReadingsRepository, settings: Settings, tmp_path: Path
) -> ReadingsRepository:
    """The services of a deployment: database, broker, repository and export store."""
    for name in ("exports", "messages"):
        (tmp_path / name).mkdir()
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "messages")}
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "exports"},
        },
    }
    return store


def test_live_answers_ok(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}


def test_ready_answers_ok_if_all_services_work_and_leaves_no_file(
    client: Client, tmp_path: Path
) -> None:
    response = client.get("/health/ready")
    assert response.status_code == 200
    assert response.json() == ALL_OK
    assert "no-store" in response["Cache-Control"]
    assert not list((tmp_path / "exports").iterdir())
    assert not list((tmp_path / "messages").iterdir())


@pytest.mark.parametrize(
    ("folder", "name", "sentence"),
    [
        ("exports", "storage", "The store of export files (EXPORTS_URL) cannot be used."),
        ("messages", "broker", "The message broker cannot be used."),
    ],
)
def test_ready_names_a_folder_that_cannot_be_written(
    client: Client, tmp_path: Path, folder: str, name: str, sentence: str
) -> None:
    (tmp_path / folder).rmdir()
    (tmp_path / folder).write_text("not a folder")
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == ALL_OK | {name: sentence}


def test_ready_names_a_repository_that_cannot_be_read(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings.READINGS_URL = f"delta://{tmp_path}/file/readings"
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == ALL_OK | {
        "store": "The store of readings (READINGS_URL) cannot be used."
    }


def test_ready_names_a_repository_whose_data_files_are_missing(
    client: Client, deployment: ReadingsRepository, settings: Settings
) -> None:
    deployment.write(readings_for(Fleet(devices=5), datetime(2023, 2, 27, tzinfo=UTC)))
    assert client.get("/health/ready").json() == ALL_OK
    [file] = Path(settings.READINGS_URL.removeprefix("delta://")).rglob("day=*/*.parquet")
    file.unlink()
    health.readiness = Readiness(*PROBES)
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == ALL_OK | {
        "store": "The store of readings (READINGS_URL) cannot be used."
    }


def test_ready_names_a_repository_whose_folder_has_disappeared(
    client: Client, deployment: ReadingsRepository, settings: Settings
) -> None:
    deployment.snapshot()
    folder = Path(settings.READINGS_URL.removeprefix("delta://"))
    folder.rename(folder.with_name("elsewhere"))
    assert client.get("/health/ready").status_code == 503
    assert not folder.exists()
    folder.with_name("elsewhere").rename(folder)
    health.readiness = Readiness(*PROBES)
    assert client.get("/health/ready").json() == ALL_OK


@pytest.mark.django_db(transaction=True)
def test_a_process_that_uses_another_table_than_the_deployment_is_not_ready(
    client: Client, deployment: ReadingsRepository, settings: Settings, tmp_path: Path
) -> None:
    describe(deployment)
    assert client.get("/health/ready").json() == ALL_OK
    settings.READINGS_URL = f"delta://{tmp_path}/other"
    create_repository(settings.READINGS_URL)
    health.readiness = Readiness(*PROBES)
    assert "store of readings" in client.get("/health/ready").json()["store"]


def test_the_caller_does_not_see_the_text_of_an_error() -> None:
    def fail() -> None:
        raise OSError("redis://:secret@10.0.0.1 refused")

    assert Readiness(Probe("broker", "broker", fail)).results() == {
        "broker": "The broker cannot be used."
    }


def test_a_service_that_blocks_is_probed_by_one_thread_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(health, "RESULT_VALID_SECONDS", 0)
    release, calls = threading.Event(), []
    join = threading.Thread.join

    def join_the_store_to_its_end(thread: threading.Thread, timeout: float | None = None) -> None:
        # On a busy machine, the thread of a service that answers may also take longer.
        join(thread, 60 if thread.name == "store" else timeout)

    monkeypatch.setattr(threading.Thread, "join", join_the_store_to_its_end)

    def block() -> None:
        calls.append(1)
        release.wait(60)

    readiness = Readiness(Probe("broker", "broker", block), Probe("store", "store", lambda: None))
    for _ in range(3):
        results = readiness.results()
        assert "does not answer" in results["broker"]
        assert results["store"] == "ok"
    release.set()
    for thread in threading.enumerate():
        if thread.name == "broker":
            join(thread, 60)
    assert len(calls) == 1


def test_many_requests_run_the_probes_once() -> None:
    calls: list[int] = []
    readiness = Readiness(Probe("broker", "broker", lambda: calls.append(1)))
    for _ in range(50):
        readiness.results()
    assert len(calls) == 1


def test_ready_reports_that_a_service_works_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RESULT_VALID_SECONDS", 0)
    down = [True]

    def check() -> None:
        if down:
            raise OSError

    readiness = Readiness(Probe("broker", "broker", check))
    assert readiness.results() != {"broker": "ok"}
    down.clear()
    assert readiness.results() == {"broker": "ok"}
