"""A push uploads a completed file to the supplier's SFTP server completely, or is retried."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from exports.delivery import push, push_keys
from exports.delivery.dispatch import deliver_next
from exports.delivery.push_error import PushError
from exports.delivery.transitions import claim
from exports.models import Delivery, DeliveryState, FileRequest, PushTarget, Supplier
from exports.pipeline import transitions
from tests.exports.delivery.conftest import attempt, received_files
from tests.exports.delivery.sftp_receiver import Receiver
from tests.suppliers import PUBLIC_KEY, file_path


def test_a_completed_file_arrives_complete_under_its_name(
    delivery: Delivery, receiver: Receiver
) -> None:
    request = delivery.request
    assert str(request.size) in attempt(delivery)
    assert delivery.state == DeliveryState.DELIVERED
    assert received_files(receiver) == {request.location: file_path(request.location).read_bytes()}


def test_nothing_is_sent_to_a_server_with_a_host_key_of_another_type(
    delivery: Delivery, receiver: Receiver
) -> None:
    PushTarget.objects.update(host_key=PUBLIC_KEY)
    outcome = attempt(delivery)
    assert "host key" in outcome or "Incompatible" in outcome
    assert (delivery.state, received_files(receiver)) == (DeliveryState.PENDING, {})


def test_nothing_is_sent_to_a_server_with_another_host_key_of_the_same_type(
    delivery: Delivery, receiver: Receiver
) -> None:
    with Receiver(receiver.folder, receiver.accepted_key) as other:
        PushTarget.objects.update(host_key=other.host_key)
    assert "not the expected" in attempt(delivery)
    assert received_files(receiver) == {}


def test_a_refused_login_is_retried(delivery: Delivery, receiver: Receiver) -> None:
    our_key, receiver.accepted_key = receiver.accepted_key, PUBLIC_KEY
    assert "Authentication failed" in attempt(delivery)
    assert delivery.leased_until is not None
    assert delivery.leased_until > timezone.now()
    assert not deliver_next()
    receiver.accepted_key = our_key
    attempt(delivery)
    assert delivery.state == DeliveryState.DELIVERED
    assert list(delivery.attempt_log.values_list("number", "succeeded")) == [(1, False), (2, True)]


@pytest.mark.usefixtures("own_secrets")
def test_after_a_rotation_the_server_may_still_know_only_the_old_key(
    target: PushTarget, receiver: Receiver, alice: Supplier
) -> None:
    old = receiver.accepted_key
    assert old == push_keys.public_key(alice)
    push_keys.rotate_key(alice)
    assert "Logged in" in push.test_connection(target)
    receiver.accepted_key = push_keys.public_key(alice)
    assert receiver.accepted_key != old
    assert "Logged in" in push.test_connection(target)
    receiver.accepted_key = old
    push_keys.rotate_key(alice, at_once=True)
    with pytest.raises(PushError):
        push.test_connection(target)


def test_an_interrupted_upload_shows_no_file_and_is_retried(
    delivery: Delivery, receiver: Receiver
) -> None:
    receiver.abort_after_bytes = 10_000
    attempt(delivery)
    assert delivery.state == DeliveryState.PENDING
    assert all(name.endswith(".part") for name in received_files(receiver))
    receiver.abort_after_bytes = None
    attempt(delivery)
    location = delivery.request.location
    assert received_files(receiver) == {location: file_path(location).read_bytes()}


def test_a_server_without_openssh_extensions_receives_the_file_too(
    delivery: Delivery, receiver: Receiver
) -> None:
    receiver.supports_posix_rename = False
    attempt(delivery)
    assert list(received_files(receiver)) == [delivery.request.location]


@pytest.mark.parametrize(
    "algorithm",
    [
        "curve25519-sha256",
        "ecdh-sha2-nistp256",
        pytest.param(
            "diffie-hellman-group-exchange-sha256",
            # A warning of the test's own server.
            marks=pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields"),
        ),
    ],
)
def test_a_server_with_only_one_key_exchange_receives_the_file(
    delivery: Delivery, target: PushTarget, receiver: Receiver, algorithm: str
) -> None:
    server = Receiver(receiver.folder, receiver.accepted_key)
    server.key_exchanges = (algorithm,)
    with server:
        PushTarget.objects.update(port=server.port, host_key=server.host_key)
        attempt(delivery)
    assert list(received_files(receiver)) == [delivery.request.location]


def test_a_file_that_is_already_there_is_not_sent_again(
    delivery: Delivery, receiver: Receiver
) -> None:
    attempt(delivery)
    Delivery.objects.update(state=DeliveryState.PENDING)
    assert attempt(delivery) == "The file was already there."
    assert receiver.renames == 1


def test_an_expired_file_is_not_retried(delivery: Delivery) -> None:
    assert transitions.expire(delivery.request_id)
    assert attempt(delivery) == "The file has expired."
    assert delivery.state == DeliveryState.FAILED


def test_an_inactive_target_is_not_retried(delivery: Delivery) -> None:
    PushTarget.objects.update(active=False)
    assert attempt(delivery) == "The push target was deleted or is inactive."
    assert delivery.state == DeliveryState.FAILED


def test_a_delivery_fails_after_its_last_attempt(delivery: Delivery) -> None:
    for _ in Delivery.pauses:
        attempt(delivery)
        assert delivery.state == DeliveryState.PENDING
    assert attempt(delivery) == "Connection refused."
    assert delivery.state == DeliveryState.FAILED


def test_only_one_worker_claims_a_delivery(delivery: Delivery) -> None:
    assert claim(delivery.pk) is not None
    assert claim(delivery.pk) is None


def test_the_connection_test_logs_in(target: PushTarget, receiver: Receiver) -> None:
    assert "Logged in" in push.test_connection(target)
    receiver.accepted_key = PUBLIC_KEY
    with pytest.raises(PushError, match="Authentication failed"):
        push.test_connection(target)


def test_a_supplier_without_a_target_has_no_deliveries(exported: FileRequest) -> None:
    assert not exported.deliveries.exists()
    assert not deliver_next()


def test_the_connection_is_tested_on_the_suppliers_page(
    target: PushTarget, operator: Client, receiver: Receiver
) -> None:
    test = "/suppliers/alice/push/test/"
    assert f'action="{test}"' in operator.get("/suppliers/alice/").content.decode()
    assert "Logged in" in operator.post(test, follow=True).content.decode()
    receiver.accepted_key = PUBLIC_KEY
    page = " ".join(operator.post(test, follow=True).content.decode().split())
    assert 'class="message error" role="alert"' in page
    assert "Authentication failed" in page


def test_the_connection_test_needs_a_target_and_a_post(operator: Client, alice: Supplier) -> None:
    assert operator.post("/suppliers/alice/push/test/").status_code == 404
    assert operator.get("/suppliers/alice/push/test/").status_code == 405
