"""Nothing is made for an inactive supplier or sent to it. What waits continues when the supplier is active again."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from django.test import Client

from exports.delivery import dispatch, push, webhook
from exports.delivery.dispatch import REVOKED, LeasedDelivery, deliver_next
from exports.delivery.push_error import PushError
from exports.delivery.transitions import claim
from exports.file_requests import FileSpec, SupplierInactiveError, accept, request_again
from exports.leases.heartbeat import LeaseLostError
from exports.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    FileRequest,
    PushTarget,
    Status,
    Supplier,
    Webhook,
)
from exports.pipeline import worker
from exports.suppliers.authentication import ApiKeyAuthentication
from headend.config import deadline as deadlines
from headend.config.deadline import Deadline
from tests.exports.delivery.conftest import received_files
from tests.exports.delivery.sftp_receiver import Receiver
from tests.suppliers import END, PUBLIC_KEY, START, api_client


class FrequentHeartbeat:
    """Replaces the heartbeat: each check of the work renews the lease first."""

    def __init__(self, work: LeasedDelivery) -> None:
        self._work = work

    def __enter__(self) -> FrequentHeartbeat:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def check(self) -> None:
        """Raise ``LeaseLostError`` if the lease cannot be renewed."""
        if not self._work.renew():
            raise LeaseLostError


def deactivate() -> None:
    """Deactivate all suppliers."""
    Supplier.objects.update(active=False)


@pytest.fixture
def call(completed: FileRequest, alice: Supplier) -> Delivery:
    """A webhook call of Alice that is due."""
    Webhook.objects.create(supplier=alice, url="http://127.0.0.1:9/")
    return Delivery.objects.create(request=completed, kind=DeliveryKind.WEBHOOK)


def test_deliveries_of_an_inactive_supplier_wait(call: Delivery) -> None:
    deactivate()
    assert not deliver_next()
    assert claim(call.pk) is None
    call.refresh_from_db()
    assert (call.state, call.attempts) == (DeliveryState.PENDING, 0)
    Supplier.objects.update(active=True)
    assert claim(call.pk) is not None


@pytest.mark.starts_processes
@pytest.mark.parametrize("model", [Supplier, PushTarget])
def test_a_running_push_stops(
    delivery: Delivery,
    receiver: Receiver,
    model: type[Supplier | PushTarget],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Deactivating(FrequentHeartbeat):
        def check(self) -> None:
            model.objects.update(active=False)
            super().check()

    monkeypatch.setattr(dispatch, "Heartbeat", Deactivating)
    # The deadline's thread would not see the rows of the test's transaction.
    monkeypatch.setattr(Deadline, "_is_cancelled", lambda _: False)
    assert deliver_next()
    delivery.refresh_from_db()
    [attempt] = delivery.attempt_log.all()
    assert (attempt.outcome, attempt.succeeded) == (REVOKED, False)
    assert delivery.state == DeliveryState.PENDING
    assert all(name.endswith(".part") for name in received_files(receiver))


def test_a_webhook_call_that_is_cut_is_recorded_as_stopped(
    call: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object, check: Callable[[], None], **__: object) -> str:
        deactivate()
        with pytest.raises(LeaseLostError):
            check()
        raise webhook.WebhookError("The call was cancelled.")

    monkeypatch.setattr(dispatch, "Heartbeat", FrequentHeartbeat)
    monkeypatch.setattr(dispatch, "notify", cut)
    assert deliver_next()
    [attempt] = call.attempt_log.all()
    assert attempt.outcome == REVOKED


@pytest.mark.starts_processes
def test_a_call_to_a_silent_server_is_cut_when_it_is_not_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed = True

    def check() -> None:
        if not needed:
            raise LeaseLostError

    monkeypatch.setattr(deadlines, "CHECK_SECONDS", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs, Deadline(60, "too slow", check=check) as deadline:
        deadline.watch(ours)
        ours.settimeout(30)
        time.sleep(0.03)
        assert not deadline.is_over
        needed = False
        assert ours.recv(1) == b""
        assert (deadline.is_over, deadline.message) == (True, "The call was cancelled.")


def test_file_requests_of_an_inactive_supplier_wait(
    alice: Supplier, bob: Supplier, readings: object, run_steps: Callable[[], None]
) -> None:
    waiting, of_bob = accept(alice, FileSpec(START, END)), accept(bob, FileSpec(START, END))
    Supplier.objects.filter(pk=alice.pk).update(active=False)
    run_steps()
    assert not worker.has_claimable_step()
    assert FileRequest.objects.get(pk=of_bob.pk).status == Status.COMPLETED
    assert FileRequest.objects.get(pk=waiting.pk).status == Status.QUEUED

    for status in (Status.SUBMITTED, Status.RUNNING, Status.COMPLETED):
        Supplier.objects.update(active=True)
        worker.run_next_step()
        assert FileRequest.objects.get(pk=waiting.pk).status == status
        deactivate()
        assert worker.run_next_step() is None


def test_no_file_request_of_an_inactive_supplier_is_accepted(
    operator: Client, completed: FileRequest
) -> None:
    deactivate()
    with pytest.raises(SupplierInactiveError):
        request_again(completed)
    page = operator.post(f"/requests/{completed.pk}/again/", follow=True).content.decode()
    assert "The supplier alice is inactive." in page
    form = {"action": "request_again", "_selected_action": completed.pk}
    page = operator.post("/admin/exports/filerequest/", form, follow=True).content.decode()
    assert "The supplier alice is inactive." in page
    assert FileRequest.objects.count() == 1


def test_a_call_whose_supplier_is_deactivated_while_it_runs_is_refused(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = api_client(alice)
    authenticate = ApiKeyAuthentication.authenticate

    def authenticate_then_deactivate(self: ApiKeyAuthentication, request: object) -> object:
        found = authenticate(self, request)  # type: ignore[arg-type] # REST framework's request
        deactivate()
        return found

    monkeypatch.setattr(ApiKeyAuthentication, "authenticate", authenticate_then_deactivate)
    body = {"start_date": "2023-02-27", "end_date": "2023-02-28"}
    answer = client.post("/readings/file", body, format="json")
    assert answer.status_code == 401
    assert not FileRequest.objects.exists()


def test_an_operator_learns_that_nothing_is_delivered_to_an_inactive_supplier(
    operator: Client, call: Delivery
) -> None:
    Delivery.objects.update(state=DeliveryState.FAILED)
    deactivate()
    page = operator.post(f"/deliveries/{call.pk}/again/", follow=True).content.decode()
    assert "Nothing is delivered while the supplier is inactive." in page
    assert Delivery.objects.get().state == DeliveryState.FAILED


def test_a_test_of_a_target_of_an_inactive_supplier_calls_no_server(
    operator: Client, call: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    PushTarget.objects.create(
        supplier=call.request.supplier, host="127.0.0.1", port=9, user="u", host_key=PUBLIC_KEY
    )
    deactivate()
    called: list[object] = []
    monkeypatch.setattr(push, "connect", called.append)
    monkeypatch.setattr(webhook, "_post", called.append)
    with pytest.raises(PushError, match="Nothing is sent while the supplier is inactive"):
        push.test_connection(PushTarget.objects.get())
    with pytest.raises(
        webhook.WebhookError, match="Nothing is sent while the supplier is inactive"
    ):
        webhook.send_test(Webhook.objects.get())
    for url in ("/suppliers/alice/push/test/", "/suppliers/alice/webhook/test/"):
        page = operator.post(url, follow=True).content.decode()
        assert "Nothing is sent while the supplier is inactive." in page
    assert not called
