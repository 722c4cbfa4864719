"""The id that joins the log lines of one call, in the web process and in the workers that it woke."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from django.test import Client
from rest_framework.test import APIClient

from exports.models import Supplier
from headend import trace
from headend.celery import app
from tests.suppliers import api_client, create_api_key

LogLines = Callable[[], list[dict[str, Any]]]
QUEUE = "request-id"

worked_under: queue.Queue[str | None] = queue.Queue()


@app.task(name="tests.request_id.step")
def step(left: int) -> None:
    """A task that asks for the next one, as the steps of exports do."""
    worked_under.put(trace.current())
    if left:
        step.apply_async((left - 1,), queue=QUEUE)


@pytest.fixture
def alices(db: None) -> APIClient:
    """A client with a good key."""
    return api_client(Supplier.objects.create(name="alice"))


@pytest.fixture(autouse=True)
def under_no_id() -> Iterator[None]:
    """This thread works for nobody when the test begins and when it ends."""
    trace.end()
    yield
    trace.end()


@pytest.mark.parametrize("given", ["abc", "0123456789abcdef" * 8, "Root=1-67891233-abcdef012345"])
def test_a_callers_id_is_taken_and_given_back(client: Client, given: str) -> None:
    answer = client.get("/health/live", headers={"X-Request-Id": given})
    assert answer["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "käse", "a\tb"])
def test_an_id_that_is_not_well_formed_is_replaced(client: Client, given: str) -> None:
    answer = client.get("/health/live", headers={"X-Request-Id": given})
    assert len(answer["X-Request-Id"]) == 32


def test_two_calls_have_two_ids(client: Client) -> None:
    first, second = (client.get("/health/live")["X-Request-Id"] for _ in range(2))
    assert first != second


def test_a_refused_call_has_its_id_too(client: Client) -> None:
    for path in ("/nothing", "/readings"):
        assert client.get(path, headers={"X-Request-Id": "abc"})["X-Request-Id"] == "abc"


def test_each_call_is_one_log_line_under_its_id(alices: APIClient, log_lines: LogLines) -> None:
    alices.get("/readings/files", {"page_size": 3}, headers={"X-Request-Id": "abc"})
    [line] = [line for line in log_lines() if line["message"] == "call"]
    assert line["trace"] == "abc"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/readings/files", 200)
    assert line["supplier"] == "alice"
    assert line["milliseconds"] >= 0


def test_neither_keys_nor_signatures_are_logged(
    client: Client, db: None, log_lines: LogLines
) -> None:
    key = create_api_key(Supplier.objects.create(name="alice"))
    client.get("/readings/files", headers={"X-API-Key": key})
    client.get("/files/55e3059d-6274-4d97-89a8-40ca93bcd084/file.gz?signature=secret")
    text = str(log_lines())
    assert "/files/55e3059d" in text
    assert "secret" not in text
    assert key not in text


def test_what_a_thread_does_after_a_call_is_not_its_work(
    client: Client, log_lines: LogLines
) -> None:
    client.get("/health/live", headers={"X-Request-Id": "abc"})
    logging.getLogger("headend").info("idle")
    assert log_lines()[-1]["trace"] is None


@pytest.fixture(scope="module")
def worker() -> Iterator[None]:
    """A worker behind the embedded broker."""
    with start_worker(app, queues=[QUEUE], pool="solo", perform_ping_check=False, loglevel="ERROR"):
        yield


def work(times: int) -> list[str | None]:
    """Ask the worker for a step, so many times in all; the ids under which it took them."""
    step.apply_async((times - 1,), queue=QUEUE)
    return [worked_under.get(timeout=30) for _ in range(times)]


@pytest.mark.usefixtures("worker")
def test_the_worker_goes_on_under_the_id_of_the_call_that_woke_it() -> None:
    trace.begin("abc")
    assert work(3) == ["abc", "abc", "abc"]


@pytest.mark.usefixtures("worker")
def test_work_that_nobody_asked_for_has_an_id_of_its_own() -> None:
    [own] = work(1)
    assert own
    assert len(own) == 32
