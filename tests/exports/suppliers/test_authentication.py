"""The headers that carry an API key."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from exports.models import ApiKey, Supplier
from exports.suppliers.authentication import find_supplier
from tests.suppliers import create_api_key


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Token {}"),
        ("Authorization", "Bearer {}"),
        ("Authorization", "bearer  {}"),
        ("Authorization", "{}"),
        ("Authorization", " {} "),
        ("X-API-Key", "{}"),
    ],
)
def test_a_key_is_accepted_in_each_form(alice: Supplier, header: str, value: str) -> None:
    headers = {header: value.format(create_api_key(alice))}
    assert APIClient().get("/readings/files", headers=headers).status_code == 200


@pytest.mark.parametrize("last_use", [-timedelta(days=1), timedelta(days=3650)])
def test_a_use_replaces_an_earlier_one_and_one_of_a_clock_that_was_ahead(
    alice: Supplier, last_use: timedelta
) -> None:
    key, now = create_api_key(alice), timezone.now()
    ApiKey.objects.update(last_used_at=now + last_use)
    assert find_supplier(key) is not None
    used = ApiKey.objects.get().last_used_at
    assert used is not None
    assert now <= used <= timezone.now()


@pytest.mark.parametrize("value", ["", "Token", "Bearer ", "Basic {}", "Token {} {}", "hek_wrong"])
def test_another_value_is_refused(alice: Supplier, value: str) -> None:
    key = create_api_key(alice)
    answer = APIClient().get("/readings/files", headers={"Authorization": value.format(key, key)})
    assert answer.status_code == 401
    assert "API key" in answer.json()["error"]


def test_a_call_without_a_key_is_told_which_header_to_send(alice: Supplier) -> None:
    answer = APIClient().get("/readings/files")
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "The API key is missing; send it in the header Authorization: Token <key>, or X-API-Key: <key>."
    }
