"""A secret that is rotated: the old value stays valid for some days, unless the rotation ends it at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer
from django.test import Client
from pytest_django.fixtures import Settings

from headend.config import rotation, signing_keys
from headend.config.rotation import OVERLAP, OverlapError, rotate, valid_values
from headend.config.secrets import FileSecrets


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    """An empty store."""
    return FileSecrets(tmp_path)


@pytest.fixture
def make() -> Callable[[], str]:
    """Return a different value for each call: 1, 2, 3."""
    return map(str, count(1)).__next__


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Make the clock of the rotation show a later time."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override] # always with UTC here
            return datetime.now(UTC) + by

    monkeypatch.setattr(rotation, "datetime", Later)


def test_the_old_value_is_valid_until_the_overlap_ends(
    secrets: FileSecrets, make: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert valid_values(secrets, "key", make) == ["1"]
    valid_until = rotate(secrets, "key", make)
    assert valid_until is not None
    assert timedelta(0) <= datetime.now(UTC) + OVERLAP - valid_until < timedelta(minutes=5)
    assert valid_values(secrets, "key", make) == ["2", "1"]
    later(monkeypatch, OVERLAP - timedelta(minutes=10))
    assert valid_values(secrets, "key", make) == ["2", "1"]
    later(monkeypatch, OVERLAP + timedelta(minutes=10))
    assert valid_values(secrets, "key", make) == ["2"]
    rotate(secrets, "key", make)
    assert valid_values(secrets, "key", make) == ["3", "2"]


def test_a_second_rotation_does_not_end_the_first_value_too_early(
    secrets: FileSecrets, make: Callable[[], str]
) -> None:
    secrets.put("key", "in use")
    rotate(secrets, "key", make)
    with pytest.raises(OverlapError, match=r"its old value is valid until \d{4}-\d\d-\d\d"):
        rotate(secrets, "key", make)
    assert valid_values(secrets, "key", make) == ["1", "in use"]


def test_a_rotation_at_once_ends_all_older_values_and_stores_none_of_them(
    secrets: FileSecrets, make: Callable[[], str]
) -> None:
    secrets.put("key", "stolen")
    rotate(secrets, "key", make)
    assert rotate(secrets, "key", make, at_once=True) is None
    assert valid_values(secrets, "key", make) == ["2"]
    assert "stolen" not in "".join(path.read_text() for path in secrets.root.iterdir())


def test_a_rotation_that_was_interrupted_changes_nothing_and_can_be_repeated(
    secrets: FileSecrets, make: Callable[[], str]
) -> None:
    secrets.put("key", "in use")

    def fail() -> str:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        rotate(secrets, "key", fail)
    assert valid_values(secrets, "key", make) == ["in use"]
    rotate(secrets, "key", make)
    assert valid_values(secrets, "key", make) == ["1", "in use"]


def keys_of_a_new_process(settings: Settings, secrets: FileSecrets) -> None:
    """Read Django's keys from the secrets as a process does when it starts."""
    settings.SECRET_KEY = signing_keys.stored_key(secrets)
    settings.SECRET_KEY_FALLBACKS = [signing_keys.old_key(secrets)]


def test_sessions_and_signed_links_stay_valid_after_a_rotation_unless_it_is_at_once(
    db: None, settings: Settings, secrets: FileSecrets
) -> None:
    keys_of_a_new_process(settings, secrets)
    signed = Signer().sign("a link")
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))

    signing_keys.rotate(secrets)
    keys_of_a_new_process(settings, secrets)
    assert Signer().unsign(signed) == "a link"
    assert Signer().sign("a link") != signed
    assert client.get("/admin/").status_code == 200

    # The session was signed again with the second key.
    signed = Signer().sign("a link")
    signing_keys.rotate(secrets, at_once=True)
    keys_of_a_new_process(settings, secrets)
    with pytest.raises(BadSignature):
        Signer().unsign(signed)
    assert client.get("/admin/").status_code == 302


def test_without_an_old_key_nothing_is_signed_for_the_fallback(secrets: FileSecrets) -> None:
    texts = {str(signing_keys.old_key(secrets)) for _ in range(2)}
    assert len(texts) == 2
    assert min(map(len, texts)) > 50
