"""Fair and bounded: how much of a supplier runs and waits, who comes first, and when a step is given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports import file_requests
from exports.file_requests import FileSpec, QueueFullError, accept
from exports.leases.heartbeat import Heartbeat, LeasedWork, LeaseLostError
from exports.models import ExportPart, FileRequest, PartState, Status, Supplier
from exports.pipeline import cleanup, export_file, queue, transitions, worker
from exports.pipeline.steps import WritePart
from tests.suppliers import END, FLEET, START, api_client

INTERVAL = len(FLEET.meters)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part an interval."""
    monkeypatch.setattr(export_file, "PART_READINGS", INTERVAL)


def request_of(supplier: Supplier, minutes: int = 40) -> FileRequest:
    return accept(supplier, FileSpec(START, START + timedelta(minutes=minutes)))


def statuses(*wanted: FileRequest) -> list[str]:
    return [FileRequest.objects.get(pk=request.pk).status for request in wanted]


@pytest.mark.usefixtures("readings", "small_parts")
def test_a_supplier_has_only_so_many_requests_running(
    alice: Supplier, bob: Supplier, settings: Settings, run_steps: Callable[[], None]
) -> None:
    settings.EXPORTS_RUNNING_PER_SUPPLIER = 1
    first, second, bobs = request_of(alice), request_of(alice), request_of(bob)
    for _ in range(2):
        worker.run_next_step()
    assert statuses(first, second, bobs) == ["submitted", "queued", "submitted"]
    run_steps()
    assert statuses(first, second, bobs) == ["completed"] * 3


@pytest.mark.usefixtures("readings", "small_parts")
def test_a_supplier_of_ones_own_limits(alice: Supplier, settings: Settings) -> None:
    settings.EXPORTS_RUNNING_PER_SUPPLIER = 1
    Supplier.objects.update(max_running=2)
    wanted = [request_of(alice) for _ in range(3)]
    for _ in range(3):
        worker.run_next_step()
    assert statuses(*wanted) == ["running", "submitted", "queued"]


@pytest.mark.usefixtures("readings")
def test_a_long_line_of_one_supplier_hides_nobody_elses(
    alice: Supplier, bob: Supplier, settings: Settings
) -> None:
    settings.EXPORTS_RUNNING_PER_SUPPLIER = 1
    for _ in range(30):
        request_of(alice)
    bobs = request_of(bob)
    worker.run_next_step()
    assert queue.suppliers_at_limit().get() == {"supplier": alice.pk}
    worker.run_next_step()
    assert statuses(bobs) == ["submitted"]


def test_a_full_line_is_a_429_that_says_when_to_come_again(
    alice: Supplier, bob: Supplier, settings: Settings
) -> None:
    settings.EXPORTS_QUEUED_PER_SUPPLIER = 2
    request_of(alice), request_of(alice)
    body = {"start_date": START.isoformat(), "end_date": END.isoformat()}
    refused = api_client(alice).post("/readings/file", body, format="json")
    assert refused.status_code == 429
    assert refused.json() == {"error": "2 file requests are queued already; wait for some to run."}
    assert int(refused.headers["Retry-After"]) > 0
    assert api_client(bob).post("/readings/file", body, format="json").status_code == 200


def test_a_request_that_is_in_the_line_answers_again_though_the_line_is_full(
    alice: Supplier, settings: Settings
) -> None:
    settings.EXPORTS_QUEUED_PER_SUPPLIER = 1
    first = accept(alice, FileSpec(START, END), idempotency_key="mine")
    assert accept(alice, FileSpec(START, END), idempotency_key="mine") == first
    with pytest.raises(QueueFullError):
        accept(alice, FileSpec(START, END), idempotency_key="other")


@pytest.mark.usefixtures("readings", "small_parts")
def test_a_small_request_passes_a_huge_one(
    alice: Supplier, bob: Supplier, monkeypatch: pytest.MonkeyPatch, run_steps: Callable[[], None]
) -> None:
    monkeypatch.setattr(transitions, "READINGS_PER_SECOND", 1)
    huge = request_of(alice)
    worker.run_next_step()
    small = request_of(bob, minutes=0)
    for _ in range(3):
        worker.run_next_step()
    assert statuses(huge, small) == ["submitted", "completed"]
    run_steps()
    assert statuses(huge) == ["completed"]


@pytest.mark.usefixtures("readings", "small_parts")
def test_a_huge_request_comes_by_its_turn_though_small_ones_keep_coming(
    alice: Supplier, bob: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "READINGS_PER_SECOND", 1)
    huge = request_of(alice)
    worker.run_next_step()
    FileRequest.objects.filter(pk=huge.pk).update(priority_at=timezone.now())
    request_of(bob, minutes=0)
    for _ in range(2):
        worker.run_next_step()
    assert statuses(huge) == ["running"]


class EndlessWork(LeasedWork):
    """Work that never ends by itself."""

    time_limit = 0.5

    def __init__(self) -> None:
        self.timed_out = threading.Event()

    def renew(self) -> bool:
        return True

    def fail(self, reason: str) -> None:
        assert reason == "The attempt took longer than 0.5 s."
        self.timed_out.set()


def test_work_that_exceeds_its_time_limit_is_stopped() -> None:
    work = EndlessWork()
    with Heartbeat(work) as heartbeat:
        heartbeat.check()
        assert work.timed_out.wait(10)
        for _ in range(100):
            try:
                heartbeat.check()
            except LeaseLostError:
                return
            threading.Event().wait(0.05)
    pytest.fail("the work was never stopped")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("readings")
def test_a_part_that_takes_too_long_costs_attempts_and_then_the_request(
    alice: Supplier, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EXPORTS_PART_SECONDS = 0
    settings.EXPORTS_ATTEMPTS = 2
    request = request_of(alice)
    worker.run_next_step()
    given_up = threading.Event()
    release = WritePart.release

    def released(step: WritePart, error: str) -> None:
        release(step, error)
        given_up.set()

    def endless(*_: object, progress: Callable[[int], None], **__: object) -> None:
        assert given_up.wait(20)
        while True:
            progress(1)

    monkeypatch.setattr(WritePart, "release", released)
    monkeypatch.setattr(export_file, "write_part", endless)
    for _ in range(2):
        given_up.clear()
        ExportPart.objects.update(leased_until=None)
        worker.run_next_step()
    connection.close()
    request.refresh_from_db()
    assert (request.status, request.reason) == (Status.FAILED, "The attempt took longer than 0 s.")


@pytest.mark.usefixtures("readings")
def test_what_ends_its_workers_is_given_up_with_a_reason(
    alice: Supplier, settings: Settings, run_steps: Callable[[], None]
) -> None:
    settings.EXPORTS_ATTEMPTS = 2
    request = request_of(alice)
    worker.run_next_step()
    part = request.parts.get()
    for _ in range(2):
        assert WritePart.claim(part.pk)
        ExportPart.objects.update(leased_until=START)
    assert WritePart.claim(part.pk) is None
    run_steps()
    worker.fail_exhausted()
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert request.reason == "Given up after 2 attempts: the worker process died each time."


@pytest.mark.usefixtures("readings")
def test_what_is_still_being_tried_is_not_given_up(alice: Supplier, settings: Settings) -> None:
    settings.EXPORTS_ATTEMPTS = 1
    request = request_of(alice)
    worker.run_next_step()
    assert WritePart.claim(request.parts.get().pk)
    worker.fail_exhausted()
    assert statuses(request) == ["submitted"]


@pytest.mark.usefixtures("readings", "small_parts")
def test_cancelling_removes_what_was_written(alice: Supplier, exports_folder: Path) -> None:
    request = request_of(alice)
    for _ in range(3):
        worker.run_next_step()
    assert request.parts.filter(state=PartState.WRITTEN).count() == 2
    assert file_requests.cancel(request)
    cleanup.remove_leftovers()
    assert [path for path in exports_folder.rglob("*") if path.is_file()] == []
    assert not file_requests.cancel(request)
