"""The headers that carry an API key."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from exports.models import Supplier
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


@pytest.mark.parametrize("value", ["", "Token", "Bearer ", "Basic {}", "Token {} {}", "hek_wrong"])
def test_another_value_is_refused(alice: Supplier, value: str) -> None:
    key = create_api_key(alice)
    answer = APIClient().get("/readings/files", headers={"Authorization": value.format(key, key)})
    assert answer.status_code == 401
    assert "API key" in answer.json()["error"]
