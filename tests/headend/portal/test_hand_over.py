"""Tests of the form that creates a supplier, and of the page that shows its credentials once."""

from __future__ import annotations

import base64
import html
import re
from datetime import timedelta

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone

from exports import credentials
from exports.models import ApiKey, FileRequest, Supplier
from exports.suppliers.authentication import find_supplier
from tests.headend.portal.markup import get_page
from tests.suppliers import PUBLIC_KEY

pytestmark = pytest.mark.django_db


def create_supplier(operator: Client, **form: str) -> str:
    """Submit the form and return the page that follows."""
    answer = operator.post("/new-supplier/", {"name": "carol"} | form)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode()


def api_key_on(page: str) -> str:
    """Return the API key that the page shows."""
    [key] = re.findall(r'id="api-key">(hek_[\w-]+)<', page)
    return str(key)


def private_key_on(page: str) -> str:
    """Return the PEM text behind the page's download link."""
    [encoded] = re.findall(r'href="data:application/x-pem-file;base64,([^"]+)"', page)
    return base64.b64decode(html.unescape(encoded)).decode()


def test_one_form_creates_a_supplier_with_working_credentials(operator: Client) -> None:
    page = create_supplier(operator)
    carol = Supplier.objects.get(name="carol")
    key = api_key_on(page)
    found = find_supplier(key)
    assert found is not None
    assert found[0] == carol
    for line in (
        f"Authorization: Token {key}", "/readings/file", "sftp -i carol.pem -P", "carol@localhost",
        "ssh-ed25519 AAAA", "Lines for the supplier's known_hosts file",
    ):  # fmt: skip
        assert line in page, line

    private_key = private_key_on(page)
    assert 'download="carol.pem"' in page
    assert carol.ssh_keys.get().public_key == credentials.public_key_of(private_key)


def test_the_form_allows_the_supplier_to_remove_files(operator: Client) -> None:
    create_supplier(operator)
    assert not Supplier.objects.get(name="carol").can_remove_files
    assert '<dd class="small"> read-only </dd>' in get_page(operator, "/suppliers/carol/")
    create_supplier(operator, name="dave", can_remove_files="on")
    assert Supplier.objects.get(name="dave").can_remove_files
    assert '<dd class="small"> can be removed </dd>' in get_page(operator, "/suppliers/dave/")


def test_the_example_command_requests_the_last_hour(operator: Client, client: Client) -> None:
    before = timezone.now()
    page = html.unescape(create_supplier(operator))
    [body] = re.findall(r"-d '({.*})'", page)
    answer = client.post(
        "/readings/file",
        body,
        content_type="application/json",
        headers={"Authorization": f"Token {api_key_on(page)}"},
    )
    assert answer.status_code == 200, answer.content
    created = FileRequest.objects.get(supplier__name="carol")
    assert before - timedelta(minutes=62) < created.start < created.end <= timezone.now()


def test_a_private_key_has_the_format_that_the_reference_clients_load(operator: Client) -> None:
    private_key = private_key_on(create_supplier(operator))
    assert private_key.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert private_key.endswith("-----END RSA PRIVATE KEY-----\n")


def test_the_old_download_address_gives_out_nothing(operator: Client) -> None:
    create_supplier(operator)
    address = "/hand-over/6f0b4a3e-2b8c-4d5f-9a51-3f8f0f6f1f11/"
    assert operator.post(address, {"token": "x"}).status_code == 404


def test_neither_key_is_stored_or_shown_again(operator: Client) -> None:
    page = create_supplier(operator)
    key, private_key = api_key_on(page), private_key_on(page)
    for model in apps.get_models():
        rows = str(list(model._default_manager.values()))
        assert key not in rows, model
        assert private_key[40:80] not in rows, model
    for later in ("/suppliers/carol/", "/admin/exports/sshkey/", "/admin/exports/apikey/"):
        shown = operator.get(later).content.decode()
        assert key not in shown
        assert "data:application" not in shown


def test_a_supplier_with_a_public_key_gets_no_private_key(operator: Client) -> None:
    page = create_supplier(operator, public_key=PUBLIC_KEY + " carol@laptop", max_running="3")
    carol = Supplier.objects.get(name="carol")
    assert carol.ssh_keys.get().public_key == PUBLIC_KEY
    assert carol.max_running == 3
    assert "Download" not in page


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "Carol"}, "Use lower-case letters"),
        ({"name": "../etc"}, "Use lower-case letters"),
        ({"public_key": "hello"}, "not a public key"),
        ({"max_queued": "0"}, "greater than or equal to 1"),
        ({"name": "bob"}, "A supplier of this name already exists."),
    ],
)
def test_an_invalid_field_shows_its_error_and_nothing_is_created(
    operator: Client, bob: Supplier, form: dict[str, str], error: str
) -> None:
    assert error in create_supplier(operator, **form)
    assert not Supplier.objects.exclude(name="bob").exists()
    assert not ApiKey.objects.exists()


def test_another_key_is_shown_once_as_well(operator: Client, alice: Supplier) -> None:
    page = operator.post("/suppliers/alice/api-key/").content.decode()
    assert find_supplier(api_key_on(page)) is not None
    assert "Download" not in page
    page = operator.post("/suppliers/alice/key-pair/").content.decode()
    key = private_key_on(page)
    assert alice.ssh_keys.get().public_key == credentials.public_key_of(key)
    assert operator.get("/suppliers/alice/api-key/").status_code == 405
    assert operator.post("/suppliers/nobody/api-key/").status_code == 404
