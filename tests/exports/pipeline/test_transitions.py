"""Statuses only move forward, and only one of several callers makes each transition."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from exports.leases.model import Lease, lease_duration
from exports.models import ACTIVE, FINAL, FileRequest, Status, Supplier
from exports.pipeline import transitions
from exports.pipeline.steps import Plan
from exports.pipeline.transitions import PublishedFile
from tests.suppliers import END, START

FILE = PublishedFile("x/run-1-part-r-00000.gz", 1, "0" * 64)


def request_in(alice: Supplier, status: Status) -> FileRequest:
    """Return a request with this status."""
    done = {"location": "x/y.gz", "size": 1, "sha256": "0", "record_count": 0, "finished_at": END}
    return FileRequest.objects.create(
        supplier=alice, start=START, end=END, status=status, **(done if status in FINAL else {})
    )


def status_of(request: FileRequest) -> str:
    """Return the status that is stored now."""
    request.refresh_from_db()
    return request.status


def claimed(request: FileRequest) -> Lease[uuid.UUID]:
    """Return a lease of the request. The request can have any status."""
    lease = FileRequest.objects.claim(request.pk)
    assert lease is not None
    return lease


TRANSITIONS: dict[str, tuple[Callable[[FileRequest], bool], set[Status], Status]] = {
    "submit": (
        lambda r: transitions.submit(claimed(r), snapshot="1", parts=[]),
        {Status.QUEUED},
        Status.SUBMITTED,
    ),
    "run": (lambda r: transitions.run(r.pk), {Status.SUBMITTED}, Status.RUNNING),
    "complete": (
        lambda r: transitions.complete(claimed(r), FILE),
        {Status.RUNNING},
        Status.COMPLETED,
    ),
    "skip": (lambda r: transitions.skip(claimed(r)), {Status.RUNNING}, Status.SKIPPED),
    "fail": (lambda r: transitions.fail(r.pk, reason="x"), set(ACTIVE), Status.FAILED),
    "cancel": (lambda r: transitions.cancel(r.pk), set(ACTIVE), Status.FAILED),
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize(
    ("transition", "allowed", "result"), TRANSITIONS.values(), ids=TRANSITIONS.keys()
)
def test_a_transition_is_only_made_from_the_right_statuses(
    alice: Supplier,
    status: Status,
    transition: Callable[[FileRequest], bool],
    allowed: set[Status],
    result: Status,
) -> None:
    request = request_in(alice, status)
    FileRequest.objects.filter(pk=request.pk).update(record_count=0)
    assert transition(request) == (status in allowed)
    assert status_of(request) == (result if status in allowed else status)


def test_a_row_is_claimed_by_one_worker_until_its_lease_expires(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_in(alice, Status.QUEUED)
    first = Plan.claim(request.pk)
    assert first is not None
    assert Plan.claim(request.pk) is None
    assert first.renew()

    later = timezone.now() + lease_duration() + timedelta(seconds=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    second = Plan.claim(request.pk)
    assert second is not None
    assert second.lease.attempt == 2
    assert not first.renew()
    assert not transitions.submit(first.lease, snapshot="1", parts=[])
    assert transitions.submit(second.lease, snapshot="1", parts=[])


def test_a_cancelled_request_cannot_be_claimed(alice: Supplier) -> None:
    request = request_in(alice, Status.QUEUED)
    step = Plan.claim(request.pk)
    assert step is not None
    transitions.cancel(request.pk)
    assert not step.renew()
    assert Plan.claim(request.pk) is None


@pytest.mark.parametrize(
    "values",
    [
        {"status": "done"},
        {"status": Status.COMPLETED},
        {"end": START - timedelta(seconds=1)},
    ],
)
def test_the_database_rejects_rows_that_break_the_rules(
    alice: Supplier, values: dict[str, object]
) -> None:
    request = request_in(alice, Status.QUEUED)
    with pytest.raises(IntegrityError), transaction.atomic():
        FileRequest.objects.filter(pk=request.pk).update(**values)
