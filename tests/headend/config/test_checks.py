"""Settings that are wrong together, or against the database."""

from __future__ import annotations

from django.core.checks import CheckMessage, run_checks
from django.core.checks.registry import registry
from pytest_django.fixtures import Settings

from exports.models import Supplier
from headend.config import checks


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def test_settings_as_they_come_are_right() -> None:
    assert [m for m in run_checks() if (m.id or "").startswith("headend.")] == []


def test_one_port_for_two_servers_is_an_error(settings: Settings) -> None:
    settings.SFTP_PORT = settings.HEADEND_PORT
    [problem] = [m for m in run_checks() if m.id == "headend.E001"]
    assert "HEADEND_PORT and SFTP_PORT" in problem.msg


def test_a_public_host_that_is_not_answered_is_warned_about(settings: Settings) -> None:
    settings.HEADEND_PUBLIC_URL = "https://headend.example"
    settings.ALLOWED_HOSTS = ["localhost"]
    assert ids(checks.public_url_is_answered()) == ["headend.W001"]
    settings.ALLOWED_HOSTS = [".example"]
    assert ids(checks.public_url_is_answered()) == []


def test_a_public_address_of_ip_6_is_understood(settings: Settings) -> None:
    settings.HEADEND_PUBLIC_URL = "http://[::1]:8000"
    settings.ALLOWED_HOSTS = ["[::1]"]
    assert ids(checks.public_url_is_answered()) == []


def test_an_anonymous_supplier_must_be_an_active_supplier(settings: Settings, db: None) -> None:
    settings.HEADEND_ANONYMOUS_SUPPLIER = "alice"

    def seen() -> list[str | None]:
        return ids(checks.anonymous_supplier_is_a_supplier(databases=["default"]))

    assert seen() == ["headend.E002"]
    alice = Supplier.objects.create(name="alice")
    assert seen() == []
    alice.active = False
    alice.save()
    assert seen() == ["headend.E002"]


def test_the_database_is_looked_at_only_when_it_is_asked_for(settings: Settings) -> None:
    settings.HEADEND_ANONYMOUS_SUPPLIER = "nobody"
    assert checks.anonymous_supplier_is_a_supplier in registry.registered_checks
    assert ids(checks.anonymous_supplier_is_a_supplier(databases=None)) == []
