"""A signed link allows the download only while the access that created it is valid."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.signing import TimestampSigner
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.delivery import http_download
from exports.delivery.http_download import DownloadRevokedError
from exports.delivery.links import SignedLink, download_path, download_url
from exports.models import ApiKey, FileRequest, Supplier, SupplierPerson
from tests.suppliers import api_client


@pytest.fixture
def link(completed: FileRequest, alice: Supplier) -> str:
    """The path of the link that the API returns to a call with Alice's first key."""
    answer = api_client(alice).get("/readings/file", {"request_id": str(completed.pk)})
    url: str = answer.json()["download_url"]
    return url.partition("localhost:8000")[2]


@pytest.fixture
def other_key(link: str, alice: Supplier) -> ApiKey:
    """A second key of Alice. The link is not from it."""
    return ApiKey.objects.create(supplier=alice, prefix="hek_other", digest="other")


def revoke(*keys: ApiKey) -> None:
    """Revoke the keys, as the admin does."""
    ApiKey.objects.filter(pk__in=[key.pk for key in keys]).update(revoked_at=timezone.now())


def old_link(request: FileRequest) -> str:
    """Return the path of a link that the previous version created."""
    signed = TimestampSigner(salt="exports.download").sign(request.location)
    return f"{download_path(request)}?signature={signed.removeprefix(request.location + ':')}"


def test_a_link_is_refused_after_its_api_key_was_revoked(
    client: Client, link: str, other_key: ApiKey
) -> None:
    assert client.get(link).status_code == 200
    revoke(other_key)
    assert client.get(link).status_code == 200
    revoke(*ApiKey.objects.exclude(pk=other_key.pk))
    assert client.get(link).status_code == 403


def test_the_link_of_one_key_is_not_valid_as_the_link_of_another(
    client: Client, link: str, other_key: ApiKey
) -> None:
    path, _, signature = link.partition("?signature=")
    creator, _, rest = signature.partition(":")
    assert int(creator) != other_key.pk
    for changed in (f"{other_key.pk}:{rest}", f"anonymous:{rest}", f":{rest}", rest):
        assert client.get(f"{path}?signature={changed}").status_code == 403, changed


def test_links_are_refused_while_the_supplier_is_inactive(client: Client, link: str) -> None:
    Supplier.objects.update(active=False)
    assert client.get(link).status_code == 403
    assert client.head(link).status_code == 403
    Supplier.objects.update(active=True)
    assert client.get(link).status_code == 200


def test_a_link_of_a_call_without_a_key_is_valid_while_such_calls_are_allowed(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    path = download_url(completed, None).removeprefix(settings.HEADEND_PUBLIC_URL)
    for supplier, status in (("alice", 200), ("bob", 403), ("", 403)):
        settings.HEADEND_ANONYMOUS_SUPPLIER = supplier
        assert client.get(path).status_code == status, supplier


def test_a_link_of_an_earlier_version_is_valid_until_a_key_of_its_supplier_is_revoked(
    client: Client, completed: FileRequest, other_key: ApiKey
) -> None:
    path = old_link(completed)
    assert client.get(path).status_code == 200
    ApiKey.objects.filter(pk=other_key.pk).update(revoked_at=timezone.now() - timedelta(hours=1))
    assert client.get(path).status_code == 200
    revoke(other_key)
    assert client.get(path).status_code == 403
    ApiKey.objects.update(revoked_at=None)
    Supplier.objects.update(active=False)
    assert client.get(path).status_code == 403


@pytest.mark.parametrize("revocation", ["key", "supplier", "none"])
def test_a_running_download_stops_when_its_access_is_revoked(
    client: Client,
    completed: FileRequest,
    link: str,
    revocation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_download, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(http_download, "CHECK_SECONDS", 0.0)
    blocks = iter(client.get(link))
    assert len(next(blocks)) == len(next(blocks)) == 1000
    if revocation == "key":
        revoke(*ApiKey.objects.all())
    elif revocation == "supplier":
        Supplier.objects.update(active=False)
    if revocation == "none":
        assert 2000 + sum(map(len, blocks)) == completed.size
    else:
        with pytest.raises(DownloadRevokedError):
            next(blocks)


@pytest.mark.parametrize("revocation", ["role", "inactive", "deleted", "supplier"])
def test_a_download_in_the_portal_stops_when_the_access_of_its_user_is_revoked(
    client: Client,
    completed: FileRequest,
    alice: Supplier,
    revocation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_download, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(http_download, "CHECK_SECONDS", 0.0)
    user = User.objects.create_user("ann", is_staff=revocation == "role")
    if revocation == "role":
        user.groups.add(Group.objects.get(name="viewer"))
    else:
        SupplierPerson.objects.create(user=user, supplier=alice)
    client.force_login(user)
    blocks = iter(client.get(download_path(completed)))
    assert len(next(blocks)) == len(next(blocks)) == 1000
    match revocation:
        case "role":
            user.groups.clear()
        case "inactive":
            User.objects.update(is_active=False)
        case "deleted":
            SupplierPerson.objects.all().delete()
        case "supplier":
            Supplier.objects.update(active=False)
    with pytest.raises(DownloadRevokedError):
        next(blocks)


def test_a_download_continues_while_the_database_is_locked(
    client: Client, completed: FileRequest, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> bool:
        raise OperationalError("database is locked")

    blocks = iter(client.get(link))
    monkeypatch.setattr(http_download, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(SignedLink, "is_allowed", refuse)
    assert sum(map(len, blocks)) == completed.size
