"""A supplier made by one form, and what it needs handed over once."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import timezone

from exports import credentials
from exports.models import ApiKey, FileRequest, KeyHandOver, SshKey, Supplier
from exports.suppliers import hand_over
from exports.suppliers.authentication import find
from exports.tasks import tidy

PUBLIC_KEY = credentials.public_key_of(credentials.new_private_key())
pytestmark = pytest.mark.django_db


def made(operator: Client, **form: str) -> str:
    """The page that a sent form leads to."""
    answer = operator.post("/new-supplier/", {"name": "carol"} | form)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode()


def api_key_on(page: str) -> str:
    [key] = re.findall(r'id="api-key">(hek_[\w-]+)<', page)
    return str(key)


def download_from(page: str) -> tuple[str, dict[str, str]]:
    """The address and the token of the private key's download."""
    [address] = re.findall(r'action="(/hand-over/[^"]+)"', page)
    [token] = re.findall(r'name="token" value="([^"]+)"', page)
    return address, {"token": token}


def test_one_form_makes_a_supplier_that_can_start(operator: Client) -> None:
    page = made(operator)
    carol = Supplier.objects.get(name="carol")
    key = api_key_on(page)
    found = find(key)
    assert found is not None
    assert found[0] == carol
    for line in (
        f"Authorization: Token {key}", "/readings/file", "sftp -i carol.pem -P", "carol@localhost",
        "ssh-ed25519 AAAA",
    ):  # fmt: skip
        assert line in page, line

    answer = operator.post(*download_from(page))
    private_key = answer.content.decode()
    assert answer["Content-Disposition"] == 'attachment; filename="carol.pem"'
    assert carol.ssh_keys.get().public_key == credentials.public_key_of(private_key)


def test_the_example_asks_for_what_has_just_been_read(operator: Client, client: Client) -> None:
    page = html.unescape(made(operator))
    [body] = re.findall(r"-d '({.*})'", page)
    answer = client.post(
        "/readings/file",
        body,
        content_type="application/json",
        headers={"Authorization": f"Token {api_key_on(page)}"},
    )
    assert answer.status_code == 200, answer.content
    asked = FileRequest.objects.get(supplier__name="carol")
    assert asked.start < asked.end <= timezone.now() < asked.start + timedelta(minutes=62)


def test_the_private_key_is_given_out_once(operator: Client) -> None:
    download = download_from(made(operator))
    assert operator.post(*download).status_code == 200
    again = operator.post(*download, follow=True).content.decode()
    assert "was downloaded before" in again
    assert "PRIVATE KEY" not in again
    assert KeyHandOver.objects.get().sealed == ""


def test_nobody_takes_it_without_the_token(operator: Client) -> None:
    address, token = download_from(made(operator))
    for wrong in ("", "x", token["token"][::-1], Fernet.generate_key().decode()):
        assert (
            "PRIVATE KEY"
            not in operator.post(address, {"token": wrong}, follow=True).content.decode()
        )
    assert operator.get(address).status_code == 405
    assert "PRIVATE KEY" in operator.post(address, token).content.decode()


def test_a_private_key_that_nobody_comes_for_is_forgotten(operator: Client) -> None:
    download = download_from(made(operator))
    KeyHandOver.objects.update(made_at=timezone.now() - hand_over.GOOD_FOR - timedelta(seconds=1))
    assert "not in time" in operator.post(*download, follow=True).content.decode()
    assert KeyHandOver.objects.get().sealed
    tidy()
    assert KeyHandOver.objects.get().sealed == ""


def test_neither_key_is_kept(operator: Client) -> None:
    page = made(operator)
    key = api_key_on(page)
    private_key = operator.post(*download_from(page)).content.decode()
    for model in (Supplier, ApiKey, SshKey, KeyHandOver):
        kept = str(list(model._default_manager.values()))
        assert key not in kept
        assert private_key[40:80] not in kept
    assert key not in operator.get("/suppliers/carol/").content.decode()


def test_a_public_key_of_its_own_needs_no_private_one(operator: Client) -> None:
    page = made(operator, public_key=PUBLIC_KEY + " carol@laptop", most_running="3")
    carol = Supplier.objects.get(name="carol")
    assert carol.ssh_keys.get().public_key == PUBLIC_KEY
    assert carol.most_running == 3
    assert "Download" not in page
    assert not KeyHandOver.objects.exists()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "Carol"}, "Use lower-case letters"),
        ({"name": "../etc"}, "Use lower-case letters"),
        ({"public_key": "hello"}, "not a public key"),
        ({"most_queued": "0"}, "greater than or equal to 1"),
        ({"name": "bob"}, "already exists"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_made(
    operator: Client, bob: Supplier, form: dict[str, str], sentence: str
) -> None:
    assert sentence in made(operator, **form)
    assert not Supplier.objects.exclude(name="bob").exists()
    assert not ApiKey.objects.exists()


def test_one_more_key_is_handed_over_the_same_way(operator: Client, alice: Supplier) -> None:
    page = operator.post("/suppliers/alice/api-key/").content.decode()
    assert find(api_key_on(page)) is not None
    assert "Download" not in page
    page = operator.post("/suppliers/alice/key-pair/").content.decode()
    key = operator.post(*download_from(page)).content.decode()
    assert alice.ssh_keys.get().public_key == credentials.public_key_of(key)
    assert operator.get("/suppliers/alice/api-key/").status_code == 405
    assert operator.post("/suppliers/nobody/api-key/").status_code == 404
