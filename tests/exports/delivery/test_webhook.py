"""A supplier hears of final states by a signed call, and nobody is called who must not be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import standardwebhooks
from django.test import Client
from pytest_django.fixtures import Settings

from exports import file_requests
from exports.delivery import webhook
from exports.delivery.addresses import AddressNotAllowedError, checked_address
from exports.delivery.dispatch import deliver_next
from exports.delivery.webhook import signing_secret
from exports.file_requests import FileSpec, accept
from exports.models import Delivery, DeliveryState, Supplier, Webhook
from tests.suppliers import END, START

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """A supplier's web server; answers with ``status`` and whatever ``answers`` say first."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.location = ""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.heard.append((dict(self.headers), body))
                self.send_response(listener.answers.pop(0) if listener.answers else 200)
                self.send_header("Location", listener.location)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}/news?from=headend"


@pytest.fixture
def listener(alice: Supplier, settings: Settings) -> Iterator[Listener]:
    """Alice listens, on an address that is allowed here."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    listener = Listener()
    Webhook.objects.create(supplier=alice, url=listener.url)
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


@pytest.fixture
def told(listener: Listener, request: pytest.FixtureRequest) -> Delivery:
    """News of a completed request, to be told to the one who listens already."""
    request.getfixturevalue("completed")
    return Delivery.objects.get()


def attempt(delivery: Delivery) -> str:
    """One try; its outcome."""
    Delivery.objects.update(leased_until=None)
    assert deliver_next()
    delivery.refresh_from_db()
    return delivery.attempt_log.order_by("-number")[0].outcome


def has_old_signature(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Verify the deprecated headers as receivers of version 1.0 do."""
    signed = f"{headers['X-Headend-Timestamp']}.".encode() + body
    expected = "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers["X-Headend-Signature"])


def store_secret(supplier: Supplier, text: str, settings: Settings) -> None:
    """Store a webhook secret as version 1.0 did."""
    name = f"{settings.SECRETS_PREFIX}/webhook/{supplier.name}/secret"
    settings.SECRETS.put(name, text)


def test_the_standard_webhooks_library_verifies_a_call(
    alice: Supplier, listener: Listener, told: Delivery
) -> None:
    attempt(told)
    [(headers, body)] = listener.heard
    secret = signing_secret(alice)
    assert secret.startswith("whsec_")
    event = standardwebhooks.Webhook(secret).verify(body, headers)
    assert event["delivery_id"] == headers["webhook-id"] == str(told.pk)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(body + b" ", headers)
    other = "whsec_" + base64.b64encode(b"another secret").decode()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(other).verify(body, headers)


def test_the_signature_covers_the_id_and_the_timestamp(
    alice: Supplier, listener: Listener, told: Delivery
) -> None:
    attempt(told)
    [(headers, body)] = listener.heard
    verifier = standardwebhooks.Webhook(signing_secret(alice))
    later = str(int(headers["webhook-timestamp"]) + 1)
    for changed in ({"webhook-id": "another"}, {"webhook-timestamp": later}):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            verifier.verify(body, headers | changed)


def test_a_test_event_is_signed_too(alice: Supplier, listener: Listener) -> None:
    webhook.send_test(Webhook.objects.get(supplier=alice))
    [(headers, body)] = listener.heard
    event = standardwebhooks.Webhook(signing_secret(alice)).verify(body, headers)
    assert event == {"test": True}


def test_a_secret_that_was_stored_by_version_1_keeps_working(
    alice: Supplier, listener: Listener, told: Delivery, settings: Settings
) -> None:
    old_secret = "kB5cuNVnCWmA2GDx3u4Ba-wc91BNrhx4S_vYWHTq7pA"
    store_secret(alice, old_secret, settings)
    attempt(told)
    [(headers, body)] = listener.heard
    assert has_old_signature(old_secret, headers, body)
    assert not has_old_signature(old_secret, headers, body + b" ")
    assert headers["X-Headend-Timestamp"] == headers["webhook-timestamp"]
    new_secret = signing_secret(alice)
    assert base64.b64decode(new_secret.removeprefix("whsec_")).decode() == old_secret
    standardwebhooks.Webhook(new_secret).verify(body, headers)


def test_a_completed_request_is_notified(listener: Listener, told: Delivery) -> None:
    delivery, completed = told, told.request
    assert attempt(delivery) == "The receiver answered 200."
    assert delivery.state == DeliveryState.DELIVERED
    [(headers, body)] = listener.heard
    assert headers["Host"] == listener.url.split("/")[2]
    assert json.loads(body) == {
        "delivery_id": str(delivery.pk),
        "request_id": str(completed.pk),
        "status": "completed",
        "record_count": completed.record_count,
        "sftp_location": completed.location,
        "size": completed.size,
        "sha256": completed.sha256,
        "reason": None,
    }


def test_a_failed_request_is_told_with_its_reason(alice: Supplier, listener: Listener) -> None:
    request = accept(alice, FileSpec(START, END))
    assert file_requests.cancel(request)
    attempt(Delivery.objects.get())
    news = json.loads(listener.heard[0][1])
    assert (news["status"], news["reason"]) == ("failed", "cancelled")


def test_an_error_is_tried_again(listener: Listener, told: Delivery) -> None:
    listener.answers = [500]
    delivery = told
    assert attempt(delivery) == "The receiver answered 500."
    assert delivery.state == DeliveryState.PENDING
    assert not deliver_next()
    assert attempt(delivery) == "The receiver answered 200."
    [first, second] = [json.loads(body)["delivery_id"] for _, body in listener.heard]
    assert first == second
    ids = [headers["webhook-id"] for headers, _ in listener.heard]
    assert ids == [str(delivery.pk), str(delivery.pk)]


def test_a_redirect_is_not_followed(listener: Listener, told: Delivery) -> None:
    listener.answers = [302]
    listener.location = listener.url
    assert attempt(told) == "The receiver answered 302."
    assert len(listener.heard) == 1


def test_a_private_address_is_refused(
    listener: Listener, told: Delivery, settings: Settings
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    delivery = told
    assert "not a public address" in attempt(delivery)
    assert (listener.heard, delivery.state) == ([], DeliveryState.PENDING)


def test_the_address_that_was_checked_is_the_one_that_is_called(
    told: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def once(host: str, *rest: Any, **named: Any) -> Any:
        if host == "localhost":
            asked.append(host)
        return resolve(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    assert attempt(told) == "The receiver answered 200."
    assert asked == ["localhost"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1",
        "2130706433", "0x7f000001", "127.1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(AddressNotAllowedError):
        checked_address(address, 80, allow_private=False)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_that_are_public(address: str) -> None:
    assert checked_address(address, 443, allow_private=False) == address


def test_a_name_with_one_private_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [(0, 0, 0, "", ("93.184.216.34", 80)), (0, 0, 0, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressNotAllowedError, match=r"10\.0\.0\.1"):
        checked_address("both.example", 80, allow_private=False)


def test_the_suppliers_page_sends_a_test(listener: Listener, operator: Client) -> None:
    test = "/suppliers/alice/webhook/test/"
    assert f'action="{test}"' in operator.get("/suppliers/alice/").content.decode()
    listener.answers = [204, 500]
    assert "The receiver answered 204." in operator.post(test, follow=True).content.decode()
    [(_, body)] = listener.heard
    assert json.loads(body) == {"test": True}
    page = operator.post(test, follow=True).content.decode()
    assert 'class="message error" role="alert"' in page
    assert "The receiver answered 500." in page
    Webhook.objects.all().delete()
    assert operator.post(test).status_code == 404
