"""Deliveries of one supplier never occupy all workers."""

from __future__ import annotations

import pytest

from exports.delivery import dispatch, transitions
from exports.delivery.dispatch import deliver_next
from exports.delivery.transitions import MAX_RUNNING, claim
from exports.file_requests import FileSpec, accept
from exports.models import Delivery, DeliveryKind, Supplier
from tests.suppliers import END, START


def make_due(supplier: Supplier, count: int) -> None:
    """Create webhook calls for which the supplier has no webhook."""
    for _ in range(count):
        request = accept(supplier, FileSpec(START, END))
        Delivery.objects.create(request=request, kind=DeliveryKind.WEBHOOK)


def test_while_two_deliveries_of_a_supplier_run_the_next_is_another_suppliers(
    alice: Supplier, bob: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_due(alice, MAX_RUNNING + 9)
    make_due(bob, 1)
    oldest = list(transitions.due()[:MAX_RUNNING])
    running = [transitions.claim(delivery.pk) for delivery in oldest]
    attempted: list[str] = []
    run = dispatch._run

    def record(work: dispatch.LeasedDelivery) -> None:
        attempted.append(work.delivery.request.supplier.name)
        run(work)

    monkeypatch.setattr(dispatch, "_run", record)
    assert deliver_next()
    assert not deliver_next()
    assert attempted == ["bob"]
    assert running[0] is not None
    transitions.succeed(running[0], "done")
    assert deliver_next()
    assert attempted == ["bob", "alice"]


def test_workers_that_chose_deliveries_at_the_same_time_claim_two_of_a_supplier(
    alice: Supplier, bob: Supplier
) -> None:
    make_due(alice, 4)
    make_due(bob, 1)
    chosen = list(dispatch._candidates())
    leases = [claim(pk) for pk in chosen]
    assert [lease is not None for lease in leases] == [True, True, False, False, True]
    assert leases[0] is not None
    transitions.succeed(leases[0], "done")
    assert [claim(pk) is not None for pk in chosen[2:4]] == [True, False]
