"""The Celery tasks: a message says only that there is work, and may come twice or never."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from exports import tasks
from exports.models import FileRequest, Status, Supplier
from tests.suppliers import END, START, api_client

BODY = {"start_date": START.isoformat(), "end_date": END.isoformat()}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wakes that were sent."""
    wakes: list[str] = []
    monkeypatch.setattr(tasks.work, "delay", lambda: wakes.append("work"))
    return wakes


@pytest.fixture
def alices(alice: Supplier) -> APIClient:
    """Alice's client."""
    return api_client(alice)


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that cannot be reached."""

    def refuse() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.work, "delay", refuse)


def test_an_accepted_request_wakes_a_worker_once_it_is_committed(
    alices: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks() as waiting:
        alices.post("/readings/file", BODY, format="json")
    assert sent == []
    for wake in waiting:
        wake()
    assert sent == ["work"]


@pytest.mark.usefixtures("no_broker")
def test_a_request_is_accepted_while_the_broker_is_down(
    alices: APIClient, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = alices.post("/readings/file", BODY, format="json")
    assert answer.json()["status"] == "queued"


@pytest.mark.usefixtures("readings")
def test_a_chain_of_wakes_ends_when_nothing_is_left(
    alices: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alices.post("/readings/file", BODY, format="json")
    taken = 0
    while sent:
        sent.pop()
        with django_capture_on_commit_callbacks(execute=True):
            tasks.work()
        taken += 1
        assert taken < 20
    assert FileRequest.objects.get().status == Status.COMPLETED


@pytest.mark.usefixtures("readings")
def test_every_message_twice_and_late_makes_the_same_end(
    alices: APIClient, sent: list[str]
) -> None:
    alices.post("/readings/file", BODY, format="json")
    for _ in range(12):
        tasks.work()
    request = FileRequest.objects.get()
    assert (request.status, request.attempts) == (Status.COMPLETED, 1)


@pytest.mark.usefixtures("readings")
def test_what_was_left_behind_is_recovered(
    alices: APIClient,
    sent: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    alices.post("/readings/file", BODY, format="json")
    with django_capture_on_commit_callbacks(execute=True):
        tasks.recover()
    assert sent == ["work"]
    FileRequest.objects.update(status=Status.FAILED)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.recover()
    assert sent == ["work"]
