"""The Celery tasks. A message only wakes a worker, so it may be lost, late or delivered twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from celery.schedules import crontab
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from exports import message_sender, tasks
from exports.leases.model import MAX_CLOCK_DIFFERENCE
from exports.models import FileRequest, PartState, Status, Supplier
from exports.pipeline import export_file, transitions
from exports.schedule import BEAT_SCHEDULE
from readings.schedule import MESSAGE_SECONDS, RARE_MESSAGE_SECONDS, with_expiry
from readings.steady_clock import ClockRecord
from tests.suppliers import END, FLEET, START, api_client, store_completed

BODY = {"start_date": START.isoformat(), "end_date": END.isoformat()}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the messages that were sent to workers."""
    messages: list[str] = []
    monkeypatch.setattr(tasks.work, "delay", lambda: messages.append("work"))
    # A test waits until the messages are sent, however slow the machine is.
    monkeypatch.setattr(message_sender, "MAX_WAIT_SECONDS", 60)
    return messages


@pytest.fixture
def client_of_alice(alice: Supplier) -> APIClient:
    """An API client with a key of Alice."""
    return api_client(alice)


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that cannot be reached."""

    def refuse() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.work, "delay", refuse)


def test_an_accepted_request_wakes_a_worker_after_the_commit(
    client_of_alice: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        client_of_alice.post("/readings/file", BODY, format="json")
    assert sent == []
    for callback in callbacks:
        callback()
    assert sent == ["work"]


@pytest.mark.usefixtures("no_broker")
def test_a_request_is_accepted_while_the_broker_is_down(
    client_of_alice: APIClient, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = client_of_alice.post("/readings/file", BODY, format="json")
    assert response.json()["status"] == "queued"


@pytest.mark.usefixtures("readings")
def test_workers_are_woken_until_no_step_is_left(
    client_of_alice: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        client_of_alice.post("/readings/file", BODY, format="json")
    steps = 0
    while sent:
        sent.pop()
        with django_capture_on_commit_callbacks(execute=True):
            tasks.work()
        steps += 1
        assert steps < 20
    assert FileRequest.objects.get().status == Status.COMPLETED


@pytest.mark.usefixtures("readings")
def test_a_file_of_one_part_takes_one_message(
    client_of_alice: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    client_of_alice.post("/readings/file", BODY, format="json")
    with django_capture_on_commit_callbacks(execute=True):
        tasks.work()
    assert FileRequest.objects.get().status == Status.COMPLETED
    assert sent == []


@pytest.mark.usefixtures("readings")
def test_the_parts_of_a_large_file_are_shared_among_workers(
    client_of_alice: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export_file, "PART_READINGS", len(FLEET.meters))
    client_of_alice.post("/readings/file", BODY, format="json")
    with django_capture_on_commit_callbacks(execute=True):
        tasks.work()
    parts = FileRequest.objects.get().parts
    assert parts.count() > 1
    assert len(sent) == parts.filter(state=PartState.PENDING).count() == parts.count()


@pytest.mark.usefixtures("readings")
def test_late_and_repeated_messages_change_nothing(
    client_of_alice: APIClient, sent: list[str]
) -> None:
    client_of_alice.post("/readings/file", BODY, format="json")
    for _ in range(12):
        tasks.work()
    request = FileRequest.objects.get()
    assert (request.status, request.attempts) == (Status.COMPLETED, 1)


@pytest.mark.usefixtures("readings")
def test_recover_wakes_a_worker_only_if_there_is_work(
    client_of_alice: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    client_of_alice.post("/readings/file", BODY, format="json")
    with django_capture_on_commit_callbacks(execute=True):
        tasks.recover()
    assert sent == ["work"]
    FileRequest.objects.update(status=Status.FAILED)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.recover()
    assert sent == ["work"]


def test_every_scheduled_task_exists_under_the_name_that_old_messages_use() -> None:
    scheduled = {entry["task"] for entry in BEAT_SCHEDULE.values()}
    assert scheduled == {
        f"exports.tasks.{name}" for name in ("recover", "tidy", "expire", "verify", "verify_again")
    }
    assert scheduled | {"exports.tasks.work", "exports.tasks.deliver"} <= set(current_app.tasks)


def test_messages_of_the_schedule_expire_so_that_they_do_not_pile_up() -> None:
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        # Longer than the clocks of two hosts may differ: otherwise a worker discards every message.
        assert MAX_CLOCK_DIFFERENCE.total_seconds() < entry["options"]["expires"] <= 3600


def test_messages_of_rare_tasks_wait_longer_for_a_worker() -> None:
    every_minute = {"schedule": crontab()}, {"schedule": 30.0}, {"schedule": crontab(minute="*/10")}
    rare = {"schedule": crontab(minute="23")}, {"schedule": crontab(hour="3", minute="43")}
    for entries, seconds in (every_minute, MESSAGE_SECONDS), (rare, RARE_MESSAGE_SECONDS):
        for entry in entries:
            assert with_expiry({"name": entry})["name"]["options"] == {"expires": seconds}


def test_no_file_expires_after_the_clock_has_jumped(
    completed: FileRequest, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HEADEND_HOME = tmp_path
    tasks.recover()
    now, ahead = timezone.now(), timedelta(days=3650)
    record = ClockRecord.now()
    jumped = replace(record, time=record.time + ahead.total_seconds())
    monkeypatch.setattr(timezone, "now", lambda: now + ahead)
    monkeypatch.setattr(ClockRecord, "now", lambda: jumped)
    tasks.expire()
    completed.refresh_from_db()
    assert completed.has_file
    # A file that its supplier removed is deleted even after a jump.
    removed = store_completed(completed.supplier)
    transitions.remove_file(removed.pk, who="SHA256:key", peer="127.0.0.1")
    tasks.expire()
    removed.refresh_from_db()
    assert removed.removed_at is not None
    assert FileRequest.objects.get(pk=completed.pk).has_file
    # The clock was set back before a day had passed.
    monkeypatch.undo()
    tasks.expire()
    assert FileRequest.objects.get(pk=completed.pk).has_file


def test_files_expire_while_the_clock_is_steady(
    completed: FileRequest, settings: Settings, tmp_path: Path
) -> None:
    settings.HEADEND_HOME = tmp_path
    FileRequest.objects.update(expires_at=START)
    tasks.recover()
    tasks.expire()
    assert not FileRequest.objects.get().has_file
