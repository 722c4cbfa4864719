"""A webhook notifies a supplier of final statuses with a signed call."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from http.client import BadStatusLine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import standardwebhooks
from django.test import Client
from pytest_django.fixtures import Settings
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, ProtocolError, ReadTimeoutError

from exports import file_requests
from exports.delivery import webhook
from exports.delivery.dispatch import deliver_next
from exports.delivery.webhook import signing_secret
from exports.file_requests import FileSpec, accept
from exports.models import Delivery, DeliveryState, Supplier, Webhook
from tests.suppliers import END, START


class Receiver:
    """A supplier's web server. Answers with the next of ``statuses``, or with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.calls: list[tuple[dict[str, str], bytes]] = []
        """The headers and the body of each call."""
        self.location = ""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append((dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Location", receiver.location)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}/news?from=headend"


@pytest.fixture
def alices_webhook(alice: Supplier) -> Webhook:
    """Alice's webhook. Her web server runs if the test requests ``receiver``."""
    return Webhook.objects.create(supplier=alice, url="http://localhost:1/")


@pytest.fixture
def receiver(
    alices_webhook: Webhook, settings: Settings, starts_processes: None
) -> Iterator[Receiver]:
    """The web server that Alice's webhook calls; private addresses are allowed."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    receiver = Receiver()
    alices_webhook.url = receiver.url
    alices_webhook.save()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def delivery(receiver: Receiver, request: pytest.FixtureRequest) -> Delivery:
    """The webhook call for Alice's completed request. The webhook exists before the request completes."""
    request.getfixturevalue("exported")
    return Delivery.objects.get()


def attempt(delivery: Delivery) -> str:
    """Make one attempt now and return its outcome."""
    Delivery.objects.update(leased_until=None)
    assert deliver_next()
    delivery.refresh_from_db()
    return delivery.attempt_log.order_by("-number")[0].outcome


def has_old_signature(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Return whether the deprecated headers are valid, as receivers of version 1.0 check them."""
    signed = f"{headers['X-Headend-Timestamp']}.".encode() + body
    expected = "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers["X-Headend-Signature"])


def store_secret(supplier: Supplier, text: str, settings: Settings) -> None:
    """Store a webhook secret as version 1.0 did."""
    name = f"{settings.SECRETS_PREFIX}/webhook/{supplier.name}/secret"
    settings.SECRETS.put(name, text)


def test_the_standard_webhooks_library_verifies_a_call(
    alice: Supplier, receiver: Receiver, delivery: Delivery
) -> None:
    attempt(delivery)
    [(headers, body)] = receiver.calls
    secret = signing_secret(alice)
    assert secret.startswith("whsec_")
    event = standardwebhooks.Webhook(secret).verify(body, headers)
    assert event["delivery_id"] == headers["webhook-id"] == str(delivery.pk)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(body + b" ", headers)
    other = "whsec_" + base64.b64encode(b"another secret").decode()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(other).verify(body, headers)


@pytest.mark.usefixtures("own_secrets")
def test_after_a_rotation_receivers_verify_with_the_new_and_with_the_old_secret(
    alice: Supplier, alices_webhook: Webhook, receiver: Receiver
) -> None:
    secrets = [signing_secret(alice)]
    for at_once, count in ((False, 2), (True, 1)):
        webhook.rotate_signing_secret(alice, at_once=at_once)
        secrets.append(signing_secret(alice))
        webhook.send_test(alices_webhook)
        headers, body = receiver.calls[-1]
        assert len(headers["webhook-signature"].split()) == count
        for secret in secrets[-count:]:
            assert standardwebhooks.Webhook(secret).verify(body, headers) == {"test": True}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secrets[1]).verify(body, headers)


def test_the_signature_covers_the_id_and_the_timestamp(
    alice: Supplier, receiver: Receiver, delivery: Delivery
) -> None:
    attempt(delivery)
    [(headers, body)] = receiver.calls
    verifier = standardwebhooks.Webhook(signing_secret(alice))
    later = str(int(headers["webhook-timestamp"]) + 1)
    for changed in ({"webhook-id": "another"}, {"webhook-timestamp": later}):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            verifier.verify(body, headers | changed)


def test_a_test_event_is_signed_too(
    alice: Supplier, alices_webhook: Webhook, receiver: Receiver
) -> None:
    webhook.send_test(alices_webhook)
    [(headers, body)] = receiver.calls
    event = standardwebhooks.Webhook(signing_secret(alice)).verify(body, headers)
    assert event == {"test": True}


def test_a_secret_that_was_stored_by_version_1_keeps_working(
    alice: Supplier, receiver: Receiver, delivery: Delivery, settings: Settings
) -> None:
    old_secret = "kB5cuNVnCWmA2GDx3u4Ba-wc91BNrhx4S_vYWHTq7pA"
    store_secret(alice, old_secret, settings)
    attempt(delivery)
    [(headers, body)] = receiver.calls
    assert has_old_signature(old_secret, headers, body)
    assert not has_old_signature(old_secret, headers, body + b" ")
    assert headers["X-Headend-Timestamp"] == headers["webhook-timestamp"]
    new_secret = signing_secret(alice)
    assert base64.b64decode(new_secret.removeprefix("whsec_")).decode() == old_secret
    standardwebhooks.Webhook(new_secret).verify(body, headers)


def test_a_completed_request_is_notified(receiver: Receiver, delivery: Delivery) -> None:
    completed = delivery.request
    assert attempt(delivery) == "The receiver answered 200."
    assert delivery.state == DeliveryState.DELIVERED
    [(headers, body)] = receiver.calls
    assert headers["Host"] == receiver.url.split("/")[2]
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


def test_a_failed_request_is_notified_with_its_reason(alice: Supplier, receiver: Receiver) -> None:
    request = accept(alice, FileSpec(START, END))
    assert file_requests.cancel(request)
    attempt(Delivery.objects.get())
    event = json.loads(receiver.calls[0][1])
    assert (event["status"], event["reason"]) == ("failed", "cancelled")


def test_a_call_is_retried_with_the_same_id_after_an_error(
    receiver: Receiver, delivery: Delivery
) -> None:
    receiver.statuses = [500]
    assert attempt(delivery) == "The receiver answered 500."
    assert delivery.state == DeliveryState.PENDING
    assert not deliver_next()
    assert attempt(delivery) == "The receiver answered 200."
    [first, second] = [json.loads(body)["delivery_id"] for _, body in receiver.calls]
    assert first == second
    ids = [headers["webhook-id"] for headers, _ in receiver.calls]
    assert ids == [str(delivery.pk), str(delivery.pk)]


def test_a_redirect_is_not_followed(receiver: Receiver, delivery: Delivery) -> None:
    receiver.statuses = [302]
    receiver.location = receiver.url
    assert attempt(delivery) == "The receiver answered 302."
    assert len(receiver.calls) == 1


def test_a_refused_connection_is_named_in_words(receiver: Receiver, delivery: Delivery) -> None:
    receiver.server.shutdown()
    receiver.server.server_close()
    assert attempt(delivery) == "The URL cannot be reached: Connection refused."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectTimeoutError("HTTPConnection(…)", "timed out"), "no connection within 5 s"),
        (ReadTimeoutError(HTTPConnectionPool("localhost"), "/news", "timed out"), "no answer within 10 s"),
        (ProtocolError("Connection aborted.", BadStatusLine("SSH-2.0")),
         "the receiver closed the connection, or did not answer in HTTP"),
    ],
)  # fmt: skip
def test_a_failed_call_is_described_in_words(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(HTTPConnectionPool, "urlopen", fail)
    assert attempt(delivery) == f"The URL cannot be reached: {reason}."


def test_a_private_address_is_refused(
    receiver: Receiver, delivery: Delivery, settings: Settings
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    assert "not a public address" in attempt(delivery)
    assert (receiver.calls, delivery.state) == ([], DeliveryState.PENDING)


def test_the_host_is_resolved_once_so_the_checked_address_is_the_called_one(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []
    resolve = socket.getaddrinfo

    def record(host: str, *rest: Any, **named: Any) -> Any:
        if host == "localhost":
            resolved.append(host)
        return resolve(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", record)
    assert attempt(delivery) == "The receiver answered 200."
    assert resolved == ["localhost"]


def test_a_test_event_is_sent_on_the_suppliers_page(receiver: Receiver, operator: Client) -> None:
    test = "/suppliers/alice/webhook/test/"
    assert f'action="{test}"' in operator.get("/suppliers/alice/").content.decode()
    receiver.statuses = [204, 500]
    assert "The receiver answered 204." in operator.post(test, follow=True).content.decode()
    [(_, body)] = receiver.calls
    assert json.loads(body) == {"test": True}
    page = " ".join(operator.post(test, follow=True).content.decode().split())
    assert 'class="message error" role="alert"' in page
    assert "The receiver answered 500." in page
    Webhook.objects.all().delete()
    assert operator.post(test).status_code == 404


def test_the_admin_shows_the_secret_in_the_form_that_libraries_expect(
    alice: Supplier, alices_webhook: Webhook, operator: Client
) -> None:
    action = {"action": "show_secret", "_selected_action": [alices_webhook.pk]}
    page = operator.post("/admin/exports/webhook/", action, follow=True).content.decode()
    assert signing_secret(alice) in page
