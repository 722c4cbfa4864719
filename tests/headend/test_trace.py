"""The trace id joins the log lines of one request, in the web process and in the workers."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from django.test import Client
from kombu import Connection
from rest_framework.test import APIClient

from exports.models import Supplier
from headend import trace
from headend.celery import app
from tests.suppliers import api_client, create_api_key

LogLines = Callable[[], list[dict[str, Any]]]
QUEUE = "trace"

trace_ids_of_steps: queue.Queue[str | None] = queue.Queue()


@app.task(name="tests.trace.step")
def step(left: int) -> None:
    """A task that sends the next task, as the steps of exports do."""
    trace_ids_of_steps.put(trace.current())
    if left:
        step.apply_async((left - 1,), queue=QUEUE)


@pytest.fixture
def alice_client(db: None) -> APIClient:
    """A client with a valid API key."""
    return api_client(Supplier.objects.create(name="alice"))


@pytest.fixture(autouse=True)
def no_trace() -> Iterator[None]:
    """Begin and end the test without a trace id in this thread."""
    trace.end()
    yield
    trace.end()


@pytest.mark.parametrize("given", ["abc", "0123456789abcdef" * 8, "Root=1-67891233-abcdef012345"])
def test_the_callers_id_is_used_and_returned(client: Client, given: str) -> None:
    response = client.get("/health/live", headers={"X-Request-Id": given})
    assert response["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "käse", "a\tb"])
def test_an_invalid_id_is_replaced(client: Client, given: str) -> None:
    response = client.get("/health/live", headers={"X-Request-Id": given})
    assert len(response["X-Request-Id"]) == 32


def test_two_requests_have_different_ids(client: Client) -> None:
    first, second = (client.get("/health/live")["X-Request-Id"] for _ in range(2))
    assert first != second


def test_an_error_response_has_an_id_too(client: Client) -> None:
    for path in ("/nothing", "/readings"):
        assert client.get(path, headers={"X-Request-Id": "abc"})["X-Request-Id"] == "abc"


def test_each_request_is_one_log_line_with_its_id(
    alice_client: APIClient, log_lines: LogLines
) -> None:
    alice_client.get("/readings/files", {"page_size": 3}, headers={"X-Request-Id": "abc"})
    [line] = [line for line in log_lines() if line["message"] == "call"]
    assert line["trace"] == "abc"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/readings/files", 200)
    assert line["supplier"] == "alice"
    assert line["milliseconds"] >= 0


def test_api_keys_and_signatures_are_not_logged(
    client: Client, db: None, log_lines: LogLines
) -> None:
    key = create_api_key(Supplier.objects.create(name="alice"))
    client.get("/readings/files", headers={"X-API-Key": key})
    client.get("/files/55e3059d-6274-4d97-89a8-40ca93bcd084/file.gz?signature=secret")
    text = str(log_lines())
    assert "/files/55e3059d" in text
    assert "secret" not in text
    assert key not in text


def test_a_thread_has_no_trace_id_after_a_request(client: Client, log_lines: LogLines) -> None:
    client.get("/health/live", headers={"X-Request-Id": "abc"})
    logging.getLogger("headend").info("idle")
    assert log_lines()[-1]["trace"] is None


@pytest.fixture(scope="module")
def worker() -> Iterator[None]:
    """A Celery worker with the embedded broker."""
    wait = Connection.drain_events

    def wait_briefly(connection: Connection, **_: float) -> None:
        wait(connection, timeout=0.1)

    with pytest.MonkeyPatch.context() as patch:
        # The worker waits for a message twice, 2 seconds each, before it ends.
        patch.setattr(Connection, "drain_events", wait_briefly)
        with start_worker(
            app, queues=[QUEUE], pool="solo", perform_ping_check=False, loglevel="ERROR"
        ):
            yield


def run_steps(count: int) -> list[str | None]:
    """Let the worker run ``count`` steps, and return their trace ids."""
    step.apply_async((count - 1,), queue=QUEUE)
    return [trace_ids_of_steps.get(timeout=30) for _ in range(count)]


@pytest.mark.usefixtures("worker")
def test_tasks_have_the_trace_id_of_the_request_that_caused_them() -> None:
    trace.begin("abc")
    assert run_steps(3) == ["abc", "abc", "abc"]


@pytest.mark.usefixtures("worker")
def test_a_task_without_a_cause_has_a_new_trace_id() -> None:
    [own] = run_steps(1)
    assert own
    assert len(own) == 32
