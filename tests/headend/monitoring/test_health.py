"""/health/live and /health/ready."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from headend.monitoring import health
from headend.monitoring.health import PROBES, Probe, Readiness
from readings.repositories import ReadingsRepository

ALL_OK = {"database": "ok", "broker": "ok", "store": "ok", "storage": "ok"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been looked at yet."""
    monkeypatch.setattr(health, "readiness", Readiness(*PROBES))


@pytest.fixture(autouse=True)
def deployment(
    db: None, store: ReadingsRepository, settings: Settings, tmp_path: Path
) -> ReadingsRepository:
    """All that a deployment stands on, for this test alone."""
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


def test_a_process_that_answers_lives(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}


def test_it_is_ready_when_everything_can_be_used(client: Client, tmp_path: Path) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == ALL_OK
    assert "no-store" in answer["Cache-Control"]
    assert not list((tmp_path / "exports").iterdir())
    assert not list((tmp_path / "messages").iterdir())


@pytest.mark.parametrize(
    ("folder", "name", "sentence"),
    [
        ("exports", "storage", "The storage of export files cannot be used."),
        ("messages", "broker", "The message broker cannot be used."),
    ],
)
def test_what_cannot_be_written_to_is_named(
    client: Client, tmp_path: Path, folder: str, name: str, sentence: str
) -> None:
    (tmp_path / folder).rmdir()
    (tmp_path / folder).write_text("a file in the folder's place")
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == ALL_OK | {name: sentence}


def test_a_store_that_cannot_be_read_is_named(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    settings.READINGS_URL = f"delta://{tmp_path}/file/readings"
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == ALL_OK | {"store": "The store of readings cannot be used."}


def test_nothing_of_an_error_is_told_to_strangers() -> None:
    def fail() -> None:
        raise OSError("redis://:secret@10.0.0.1 refused")

    assert Readiness(Probe("broker", "broker", fail)).look() == {
        "broker": "The broker cannot be used."
    }


def test_what_hangs_is_waited_for_once_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(health, "GOOD_FOR_SECONDS", 0)
    release, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        release.wait(60)

    readiness = Readiness(Probe("broker", "broker", hang), Probe("store", "store", lambda: None))
    for _ in range(3):
        found = readiness.look()
        assert "does not answer" in found["broker"]
        assert found["store"] == "ok"
    assert len(asked) == 1
    release.set()


def test_many_callers_do_not_make_it_ask_more_often() -> None:
    asked: list[int] = []
    readiness = Readiness(Probe("broker", "broker", lambda: asked.append(1)))
    for _ in range(50):
        readiness.look()
    assert len(asked) == 1


def test_what_is_well_again_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "GOOD_FOR_SECONDS", 0)
    down = [True]

    def ask() -> None:
        if down:
            raise OSError

    readiness = Readiness(Probe("broker", "broker", ask))
    assert readiness.look() != {"broker": "ok"}
    down.clear()
    assert readiness.look() == {"broker": "ok"}
