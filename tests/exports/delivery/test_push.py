"""A completed file comes to a supplier's own server whole, or is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from exports.credentials import new_private_key, public_key_of
from exports.delivery import push
from exports.delivery.dispatch import deliver_next
from exports.delivery.transitions import PAUSES, claim
from exports.models import Delivery, DeliveryState, FileRequest, PushTarget, Supplier
from exports.pipeline import transitions
from tests.exports.delivery.receiver import USER, Receiver
from tests.suppliers import file_path

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(alice: Supplier, tmp_path: Path) -> Iterator[Receiver]:
    """Alice's server, which lets our key in."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    with Receiver(folder, push.public_key(alice)) as running:
        yield running


@pytest.fixture
def target(alice: Supplier, receiver: Receiver) -> PushTarget:
    """Where Alice wants her files."""
    target = PushTarget(
        supplier=alice, host="127.0.0.1", port=receiver.port, user=USER,
        host_key=receiver.host_key, folder="/",
    )  # fmt: skip
    target.full_clean()
    target.save()
    return target


@pytest.fixture
def delivery(target: PushTarget, completed: FileRequest) -> Delivery:
    """A file that has to be brought to Alice."""
    return Delivery.objects.get(request=completed)


def attempt(delivery: Delivery) -> str:
    """One try; its outcome."""
    Delivery.objects.update(leased_until=None)
    assert deliver_next()
    delivery.refresh_from_db()
    return delivery.attempt_log.order_by("-number")[0].outcome


def arrived(receiver: Receiver) -> dict[str, bytes]:
    return {
        str(path.relative_to(receiver.folder)): path.read_bytes()
        for path in receiver.folder.rglob("*")
        if path.is_file()
    }


def test_a_completed_file_arrives_whole_under_its_name(
    delivery: Delivery, receiver: Receiver
) -> None:
    request = delivery.request
    assert str(request.size) in attempt(delivery)
    assert delivery.state == DeliveryState.DELIVERED
    assert arrived(receiver) == {request.location: file_path(request.location).read_bytes()}


def test_nothing_is_sent_to_a_server_with_another_host_key(
    delivery: Delivery, receiver: Receiver
) -> None:
    other = public_key_of(new_private_key())
    PushTarget.objects.update(host_key=other)
    outcome = attempt(delivery)
    assert "host key" in outcome or "Incompatible" in outcome
    assert (delivery.state, arrived(receiver)) == (DeliveryState.PENDING, {})


def test_a_pinned_key_of_the_same_kind_is_compared_too(
    delivery: Delivery, receiver: Receiver
) -> None:
    with Receiver(receiver.folder, receiver.lets_in) as other:
        PushTarget.objects.update(host_key=other.host_key)
    assert "not the expected" in attempt(delivery)
    assert arrived(receiver) == {}


def test_a_server_that_does_not_let_us_in_is_tried_again(
    delivery: Delivery, receiver: Receiver
) -> None:
    lets_in, receiver.lets_in = receiver.lets_in, public_key_of(new_private_key())
    assert "Authentication failed" in attempt(delivery)
    assert delivery.leased_until is not None
    assert delivery.leased_until > timezone.now()
    assert not deliver_next()
    receiver.lets_in = lets_in
    attempt(delivery)
    assert delivery.state == DeliveryState.DELIVERED
    assert list(delivery.attempt_log.values_list("number", "succeeded")) == [(1, False), (2, True)]


def test_an_upload_that_breaks_off_shows_nothing_and_is_made_again(
    delivery: Delivery, receiver: Receiver
) -> None:
    receiver.breaks_off_after = 10_000
    attempt(delivery)
    assert delivery.state == DeliveryState.PENDING
    assert all(name.endswith(".part") for name in arrived(receiver))
    receiver.breaks_off_after = None
    attempt(delivery)
    location = delivery.request.location
    assert arrived(receiver) == {location: file_path(location).read_bytes()}


def test_a_server_without_the_extension_renames_its_own_way(
    delivery: Delivery, receiver: Receiver
) -> None:
    receiver.knows_posix_rename = False
    attempt(delivery)
    assert list(arrived(receiver)) == [delivery.request.location]


def test_a_file_that_is_there_already_is_not_sent_again(
    delivery: Delivery, receiver: Receiver
) -> None:
    attempt(delivery)
    Delivery.objects.update(state=DeliveryState.PENDING)
    assert attempt(delivery) == "The file was already there."
    assert receiver.renames == 1


def test_a_file_that_has_expired_is_given_up(delivery: Delivery) -> None:
    assert transitions.expire(delivery.request_id)
    assert attempt(delivery) == "The file has expired."
    assert delivery.state == DeliveryState.FAILED


def test_a_target_that_was_switched_off_is_given_up(delivery: Delivery) -> None:
    PushTarget.objects.update(active=False)
    assert attempt(delivery) == "The push target was deleted or is inactive."
    assert delivery.state == DeliveryState.FAILED


def test_after_the_last_pause_it_is_given_up(delivery: Delivery) -> None:
    PushTarget.objects.update(port=1)
    for _ in PAUSES:
        attempt(delivery)
        assert delivery.state == DeliveryState.PENDING
    assert "refused" in attempt(delivery)
    assert delivery.state == DeliveryState.FAILED


def test_two_workers_do_not_bring_the_same_file(delivery: Delivery) -> None:
    assert claim(delivery.pk) is not None
    assert claim(delivery.pk) is None


def test_the_connection_can_be_tried_out(target: PushTarget, receiver: Receiver) -> None:
    assert "Logged in" in push.test_connection(target)
    receiver.lets_in = public_key_of(new_private_key())
    with pytest.raises(push.PushError, match="Authentication failed"):
        push.test_connection(target)


def test_a_supplier_without_a_target_is_brought_nothing(completed: FileRequest) -> None:
    assert not completed.deliveries.exists()
    assert not deliver_next()


def test_the_suppliers_page_tests_the_connection(
    target: PushTarget, operator: Client, receiver: Receiver
) -> None:
    test = "/suppliers/alice/push/test/"
    assert f'action="{test}"' in operator.get("/suppliers/alice/").content.decode()
    assert "Logged in" in operator.post(test, follow=True).content.decode()
    receiver.lets_in = public_key_of(new_private_key())
    page = operator.post(test, follow=True).content.decode()
    assert 'class="message error" role="alert"' in page
    assert "Authentication failed" in page


def test_a_supplier_without_a_target_has_nothing_to_test(operator: Client, alice: Supplier) -> None:
    assert operator.post("/suppliers/alice/push/test/").status_code == 404
    assert operator.get("/suppliers/alice/push/test/").status_code == 405
