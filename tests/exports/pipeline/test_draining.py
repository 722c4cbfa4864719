"""A worker that gets SIGTERM finishes its step, or gives it back. No attempt is lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import polars as pl
import pytest

from exports import tasks
from exports.delivery import dispatch, transitions
from exports.leases.heartbeat import Heartbeat, LeaseLostError
from exports.models import Delivery, DeliveryKind, DeliveryState, FileRequest, Status, Supplier
from exports.pipeline import export_file, worker
from headend.config import draining
from tests.exports.pipeline.conftest import CreateRequest
from tests.suppliers import decompressed_file, expected_csv


class CheckedHeartbeat(Heartbeat):
    """Renews the lease at each check, in the thread of the work: the test's transaction belongs to it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def check(self) -> None:
        """Raise ``LeaseLostError`` if the lease cannot be renewed."""
        if not self._renew():
            raise LeaseLostError


@pytest.fixture(autouse=True)
def one_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew leases in the test's thread, and end the drain of this process after each test."""
    monkeypatch.setattr(worker, "Heartbeat", CheckedHeartbeat)
    monkeypatch.setattr(dispatch, "Heartbeat", CheckedHeartbeat)
    monkeypatch.setattr(draining._Draining, "give_back_at", math.inf)


@pytest.mark.usefixtures("readings")
def test_a_worker_that_drains_finishes_its_step_and_begins_no_other(
    alice: Supplier, request_file: CreateRequest
) -> None:
    request = request_file(alice)
    draining.begin(3600)
    # The result lets the task wake another worker for the part.
    assert worker.run_steps() == 1
    request.refresh_from_db()
    assert (request.status, request.parts.get().attempts) == (Status.SUBMITTED, 0)


def test_a_step_that_takes_longer_than_the_drain_is_given_back_and_another_worker_repeats_it(
    alice: Supplier,
    readings: pl.DataFrame,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = request_file(alice)
    worker.run_next_step()
    write_part = export_file.write_part

    def drain(*_: object, progress: Callable[[int], None], **__: object) -> Any:
        draining.begin(0)
        while True:
            progress(0)

    monkeypatch.setattr(export_file, "write_part", drain)
    assert worker.run_next_step() == 0
    part = request.parts.get()
    assert (part.attempts, part.lease, part.leased_until, part.error) == (0, None, None, "")

    monkeypatch.setattr(draining._Draining, "give_back_at", math.inf)
    monkeypatch.setattr(export_file, "write_part", write_part)
    monkeypatch.setattr(worker, "Heartbeat", Heartbeat)
    run_steps()
    request.refresh_from_db()
    assert (request.status, request.parts.get().attempts) == (Status.COMPLETED, 1)
    assert decompressed_file(request) == expected_csv(readings)


@pytest.fixture
def delivery(completed: FileRequest) -> Delivery:
    """A webhook call that is due."""
    return Delivery.objects.create(request=completed, kind=DeliveryKind.WEBHOOK)


def test_a_delivery_that_takes_longer_than_the_drain_is_due_again_at_once(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drain(_: object, check: Callable[[], None]) -> str:
        draining.begin(0)
        while True:
            check()

    monkeypatch.setattr(transitions, "is_revoked", lambda _: False)
    monkeypatch.setattr(dispatch.LeasedDelivery, "_call_webhook", drain)
    # The last attempt: if it counted as failed, the delivery would fail.
    Delivery.objects.update(attempts=len(Delivery.pauses))
    assert dispatch.deliver_next()
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.PENDING
    assert [due.pk for due in transitions.due()] == [delivery.pk]
    attempt = delivery.attempt_log.get()
    assert (attempt.succeeded, attempt.outcome) == (False, dispatch.INTERRUPTED)


def test_a_worker_that_drains_begins_no_delivery(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[int] = []
    monkeypatch.setattr(tasks, "wake_deliveries", lambda: woken.append(1))
    draining.begin(3600)
    tasks.deliver()
    delivery.refresh_from_db()
    assert (delivery.attempts, woken) == (0, [1])
