"""Deliveries are created with the final status, retried after growing pauses, and fail after the last attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from exports.delivery import transitions
from exports.file_requests import FileSpec, accept
from exports.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    FileRequest,
    PushTarget,
    Status,
    Supplier,
    Webhook,
    is_failing,
)
from exports.pipeline.transitions import cancel
from tests.suppliers import END, PUBLIC_KEY, START


@pytest.fixture
def delivery(alice: Supplier) -> Delivery:
    """A pending webhook call."""
    request = accept(alice, FileSpec(START, END))
    return Delivery.objects.create(request=request, kind=DeliveryKind.WEBHOOK)


@pytest.fixture
def targets(alice: Supplier) -> None:
    """A webhook and a push target of Alice, both active."""
    Webhook.objects.create(supplier=alice, url="https://example.com/")
    PushTarget.objects.create(
        supplier=alice,
        host="example.com",
        user="headend",
        host_key=PUBLIC_KEY,
    )


def kinds() -> set[str]:
    """Return the kinds of all deliveries."""
    return set(Delivery.objects.values_list("kind", flat=True))


def make_due(delivery: Delivery) -> None:
    """End the pause of a delivery."""
    Delivery.objects.filter(pk=delivery.pk).update(leased_until=None)


@pytest.mark.usefixtures("targets")
def test_a_completed_file_is_pushed_and_its_supplier_is_notified(alice: Supplier) -> None:
    request = accept(alice, FileSpec(START, END))
    transitions.schedule_deliveries(request.pk, Status.COMPLETED)
    assert kinds() == {"push", "webhook"}


@pytest.mark.usefixtures("targets")
def test_a_cancelled_request_is_only_notified(alice: Supplier) -> None:
    assert cancel(accept(alice, FileSpec(START, END)).pk)
    assert kinds() == {"webhook"}


@pytest.mark.usefixtures("targets")
def test_inactive_targets_get_no_deliveries(alice: Supplier) -> None:
    Webhook.objects.update(active=False)
    PushTarget.objects.update(active=False)
    request = accept(alice, FileSpec(START, END))
    transitions.schedule_deliveries(request.pk, Status.COMPLETED)
    assert kinds() == set()


def test_an_attempt_is_recorded_with_its_target_and_outcome(delivery: Delivery) -> None:
    lease = transitions.claim(delivery.pk)
    assert lease is not None
    assert transitions.claim(delivery.pk) is None
    assert transitions.renew(lease)
    transitions.record_target(lease, target="https://example.com/")
    transitions.succeed(lease, "The receiver answered 200.")
    delivery.refresh_from_db()
    attempt = delivery.attempt_log.get()
    assert (delivery.state, delivery.lease) == (DeliveryState.DELIVERED, None)
    assert delivery.finished_at is not None
    assert (attempt.number, attempt.target) == (1, "https://example.com/")
    assert (attempt.succeeded, attempt.outcome) == (True, "The receiver answered 200.")
    assert attempt.ended_at is not None
    assert not transitions.renew(lease)
    assert not transitions.due().exists()


@pytest.mark.parametrize("back", [timedelta(hours=2), timedelta(days=3650)])
def test_a_pause_is_over_when_a_clock_that_was_ahead_is_set_back(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch, back: timedelta
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now + back)
    lease = transitions.claim(delivery.pk)
    assert lease is not None
    transitions.release(lease, "The receiver answered 500.")
    assert not transitions.due().exists()
    monkeypatch.setattr(timezone, "now", lambda: now)
    assert transitions.due().get() == delivery


def test_failed_attempts_are_retried_after_growing_pauses_until_the_last(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    for number, pause in enumerate(Delivery.pauses, 1):
        lease = transitions.claim(delivery.pk)
        assert lease is not None
        assert lease.attempt == number
        transitions.release(lease, "The receiver answered 500.")
        delivery.refresh_from_db()
        assert delivery.state == DeliveryState.PENDING
        assert delivery.leased_until == now + pause
        assert not transitions.due().exists()
        make_due(delivery)
    assert sorted(Delivery.pauses) == list(Delivery.pauses)

    last = transitions.claim(delivery.pk)
    assert last is not None
    transitions.release(last, "The receiver answered 500.")
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.FAILED
    assert delivery.attempt_log.count() == len(Delivery.pauses) + 1


def test_a_failed_delivery_can_be_retried(delivery: Delivery) -> None:
    assert not transitions.retry(delivery.pk)
    lease = transitions.claim(delivery.pk)
    assert lease is not None
    transitions.fail(lease, "The webhook was deleted or is inactive.")
    assert not transitions.due().exists()
    assert transitions.retry(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.finished_at) == (DeliveryState.PENDING, None)
    second = transitions.claim(delivery.pk)
    assert second is not None
    assert second.attempt == 2


def test_a_delivery_that_pauses_after_a_failed_attempt_can_be_retried_now(
    delivery: Delivery,
) -> None:
    lease = transitions.claim(delivery.pk)
    assert lease is not None
    assert not transitions.retry(delivery.pk)  # the attempt is running
    transitions.release(lease, "The receiver answered 500.")
    assert not transitions.due().exists()
    assert transitions.retry(delivery.pk)
    second = transitions.claim(delivery.pk)
    assert second is not None
    assert second.attempt == 2


def test_a_delivery_is_failing_from_its_second_failed_attempt_on(delivery: Delivery) -> None:
    found = []
    for _ in range(3):
        lease = transitions.claim(delivery.pk)
        assert lease is not None
        delivery.refresh_from_db()
        running = (delivery.is_failing, Delivery.objects.filter(is_failing()).exists())
        transitions.release(lease, "The receiver answered 500.")
        delivery.refresh_from_db()
        paused = (delivery.is_failing, Delivery.objects.filter(is_failing()).exists())
        found.append((running, paused))
        make_due(delivery)
    no, yes = (False, False), (True, True)
    assert found == [(no, no), (no, yes), (yes, yes)]
    lease = transitions.claim(delivery.pk)
    assert lease is not None
    transitions.succeed(lease, "The receiver answered 204.")
    delivery.refresh_from_db()
    assert (delivery.is_failing, delivery.can_be_retried) == no


def test_a_late_worker_cannot_end_the_attempt_of_another(delivery: Delivery) -> None:
    late = transitions.claim(delivery.pk)
    assert late is not None
    past = timezone.now() - timedelta(minutes=1)
    Delivery.objects.filter(pk=delivery.pk).update(leased_until=past)
    assert transitions.claim(delivery.pk) is not None
    assert not transitions.renew(late)
    transitions.succeed(late, "too late")
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.PENDING
    assert FileRequest.objects.get().deliveries.get().attempt_log.get(number=2).outcome == ""
