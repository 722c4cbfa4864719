"""The URL of a webhook is checked when it is saved, and again before each call."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from exports.delivery import webhook
from exports.delivery.webhook import WebhookError, send_test
from exports.models import Supplier, Webhook

REFUSED = [
    ("https://example.com:99999/", "a port is a number from 1 to 65535"),
    ("https://example.com:0/", "a port is a number from 1 to 65535"),
    ("https://example.com:port/", "a port is a number from 1 to 65535"),
    ("https://alice:secret@example.com/", "must not contain a user or a password"),
    ("https://alice@example.com/", "must not contain a user or a password"),
    ("ftp://example.com/", "must start with https:// or http://"),
    ("https:///path", "must start with https:// or http:// and name a host"),
]


@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_a_url_that_no_call_can_use_is_refused_in_the_form(
    alice: Supplier, url: str, reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        Webhook(supplier=alice, url=url).clean()


@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_a_row_with_such_a_url_fails_before_its_host_is_resolved(
    alice: Supplier, url: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "checked_address", lambda *_, **__: pytest.fail("resolved"))
    with pytest.raises(WebhookError, match=reason):
        send_test(Webhook(supplier=alice, url=url))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "http://example.com:8080/a?b=c@d",
        "https://[2606:2800:220:1::1]:8443/",
    ],
)
def test_other_urls_are_accepted(alice: Supplier, url: str) -> None:
    Webhook(supplier=alice, url=url).full_clean()
