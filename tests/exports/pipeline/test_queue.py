"""Which step comes next: limits of suppliers, and small requests before large ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.models import FileRequest, Supplier
from exports.pipeline import queue, transitions, worker
from exports.pipeline.steps import Plan, Publish, WritePart
from tests.exports.pipeline.conftest import CreateRequest


def statuses(*requests: FileRequest) -> list[str]:
    """Return the current statuses of the requests."""
    return [FileRequest.objects.get(pk=request.pk).status for request in requests]


@pytest.fixture
def low_priority_per_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading moves the priority of its request back by a second."""
    monkeypatch.setattr(transitions, "READINGS_PER_PRIORITY_SECOND", 1)


@pytest.mark.usefixtures("readings", "part_per_interval")
def test_requests_over_the_limit_of_their_supplier_stay_queued(
    alice: Supplier,
    bob: Supplier,
    settings: Settings,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
) -> None:
    settings.EXPORTS_RUNNING_PER_SUPPLIER = 1
    first, second, of_bob = request_file(alice), request_file(alice), request_file(bob)
    for _ in range(2):
        worker.run_next_step()
    assert statuses(first, second, of_bob) == ["submitted", "queued", "submitted"]
    run_steps()
    assert statuses(first, second, of_bob) == ["completed"] * 3


@pytest.mark.usefixtures("readings", "part_per_interval")
def test_a_limit_of_the_supplier_overrides_the_setting(
    alice: Supplier, settings: Settings, request_file: CreateRequest
) -> None:
    settings.EXPORTS_RUNNING_PER_SUPPLIER = 1
    Supplier.objects.update(max_running=2)
    requests = [request_file(alice) for _ in range(3)]
    for _ in range(3):
        worker.run_next_step()
    assert statuses(*requests) == ["running", "submitted", "queued"]


def test_a_request_counts_for_the_limit_while_it_is_planned_or_waits_for_a_retry(
    alice: Supplier, settings: Settings, request_file: CreateRequest
) -> None:
    settings.EXPORTS_RUNNING_PER_SUPPLIER = 1
    first, second = request_file(alice), request_file(alice)
    step = Plan.claim(first.pk)
    assert step is not None
    assert Plan.claim(second.pk) is None
    step.release("The repository is down.")
    assert Plan.claim(second.pk) is None
    FileRequest.objects.filter(pk=first.pk).update(leased_until=None)
    assert Plan.claim(second.pk) is not None


@pytest.mark.usefixtures("readings")
def test_many_queued_requests_of_one_supplier_do_not_block_others(
    alice: Supplier, bob: Supplier, settings: Settings, request_file: CreateRequest
) -> None:
    settings.EXPORTS_RUNNING_PER_SUPPLIER = 1
    for _ in range(30):
        request_file(alice)
    of_bob = request_file(bob)
    worker.run_next_step()
    assert queue.suppliers_at_limit().get() == {"supplier": alice.pk}
    worker.run_next_step()
    assert statuses(of_bob) == ["submitted"]


@pytest.mark.usefixtures("readings", "part_per_interval", "low_priority_per_reading")
def test_a_small_request_overtakes_a_large_one(
    alice: Supplier, bob: Supplier, run_steps: Callable[[], None], request_file: CreateRequest
) -> None:
    large = request_file(alice)
    worker.run_next_step()
    small = request_file(bob, minutes=0)
    for _ in range(3):
        worker.run_next_step()
    assert statuses(large, small) == ["submitted", "completed"]
    run_steps()
    assert statuses(large) == ["completed"]


@pytest.mark.usefixtures("readings", "part_per_interval", "low_priority_per_reading")
def test_a_large_request_that_has_waited_runs_before_newer_small_ones(
    alice: Supplier, bob: Supplier, request_file: CreateRequest
) -> None:
    large = request_file(alice)
    worker.run_next_step()
    FileRequest.objects.filter(pk=large.pk).update(priority_at=timezone.now())
    small = request_file(bob, minutes=0)
    worker.run_steps()
    assert statuses(large) == ["running"]
    assert statuses(small) == ["submitted"]


@pytest.mark.usefixtures("readings")
def test_the_worker_of_the_last_part_publishes_this_file_first(
    request_file: CreateRequest, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = request_file(alice), request_file(alice)
    worker.run_next_step()
    worker.run_next_step()
    of_another_worker = WritePart.claim(older.parts.get().pk)
    assert of_another_worker is not None
    run = WritePart.run

    def run_while_the_other_part_is_written(step: WritePart, check: Callable[[], None]) -> int:
        assert run(of_another_worker, check) == 1
        return run(step, check)

    monkeypatch.setattr(WritePart, "run", run_while_the_other_part_is_written)
    assert worker.run_steps() == 0
    assert statuses(older, newer) == ["running", "completed"]


@pytest.mark.usefixtures("readings")
def test_the_worker_of_the_last_part_looks_for_another_step_if_the_file_is_published_already(
    request_file: CreateRequest, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, other = request_file(alice), request_file(alice)
    run = WritePart.run

    def run_while_another_worker_publishes(step: WritePart, check: Callable[[], None]) -> int:
        further = run(step, check)
        monkeypatch.setattr(WritePart, "run", run)
        assert Publish.claim(step.request_id) is not None
        return further

    monkeypatch.setattr(WritePart, "run", run_while_another_worker_publishes)
    assert worker.run_steps() == 0
    assert statuses(request, other) == ["running", "completed"]
