"""The headers that carry an API key."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from exports import credentials
from exports.models import ApiKey, Supplier
from exports.suppliers import authentication
from exports.suppliers.authentication import (
    KEY_CACHE_SECONDS,
    find_supplier,
)
from tests.deployment import Deployment
from tests.suppliers import create_api_key


class Clock:
    """A clock that a test sets, in place of ``time.monotonic``."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the time of the test."""
        return self.now


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


@pytest.mark.parametrize("revocation", ["key", "supplier"])
def test_a_page_of_readings_accepts_a_revoked_key_for_less_than_five_seconds(
    alice: Supplier,
    revocation: str,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(authentication, "time", clock := Clock())
    key = create_api_key(alice)
    assert find_supplier(key, KEY_CACHE_SECONDS) == (alice, ApiKey.objects.get())
    if revocation == "key":
        ApiKey.objects.update(revoked_at=timezone.now())
    else:
        Supplier.objects.update(active=False)

    clock.now += KEY_CACHE_SECONDS - 1
    with django_assert_num_queries(0):
        assert find_supplier(key, KEY_CACHE_SECONDS) is not None
    clock.now += 1
    assert find_supplier(key, KEY_CACHE_SECONDS) is None
    assert KEY_CACHE_SECONDS < 5


def test_only_a_get_of_file_requests_accepts_a_key_that_was_looked_up_before(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "time", clock := Clock())
    client = APIClient(headers={"X-API-Key": create_api_key(alice)})
    path = f"/readings/file?request_id={uuid.uuid4()}"
    assert client.get(path).status_code == 404
    ApiKey.objects.update(revoked_at=timezone.now())

    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 401
    # The lookup for the DELETE has found the revocation.
    assert client.get(path).status_code == 401
    ApiKey.objects.update(revoked_at=None)
    assert client.get("/readings/files").status_code == 200
    ApiKey.objects.update(revoked_at=timezone.now())
    clock.now += KEY_CACHE_SECONDS
    assert client.get("/readings/files").status_code == 401
    ApiKey.objects.update(revoked_at=None)
    assert client.get(path).status_code == 404
    ApiKey.objects.update(revoked_at=timezone.now())
    body = {"start_date": "2023-02-27"}
    assert client.post("/readings/file", body, format="json").status_code == 401


def test_a_lookup_that_takes_long_does_not_extend_the_time_of_a_revoked_key(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "time", clock := Clock())
    key = create_api_key(alice)

    look_up = authentication._look_up

    def slow(key_digest: str) -> object:
        found = look_up(key_digest)
        clock.now += 60
        return found

    monkeypatch.setattr(authentication, "_look_up", slow)
    assert find_supplier(key, KEY_CACHE_SECONDS) is not None
    ApiKey.objects.update(revoked_at=timezone.now())
    assert find_supplier(key, KEY_CACHE_SECONDS) is None


def test_a_key_is_valid_as_soon_as_it_exists(alice: Supplier) -> None:
    key = credentials.new_api_key()
    assert find_supplier(key, KEY_CACHE_SECONDS) is None
    ApiKey.objects.create(supplier=alice, prefix="hek_", digest=credentials.digest(key))
    assert find_supplier(key, KEY_CACHE_SECONDS) is not None


@pytest.mark.starts_processes
def test_a_revoked_key_stops_within_five_seconds_on_every_process(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "home", {"SIMULATION": "off", "WEB_WORKERS": "2"})
    deployment.set_up()
    deployment.start_web_server()
    headers = {"X-API-Key": deployment.outputs()["ApiKey"]}
    url = f"http://localhost:{deployment.http_port}"
    urls = [f"{url}/readings?start_date=2023-02-27", f"{url}/readings/files"] * 24

    def statuses() -> set[int]:
        # Each call has its own connection, which the system gives to any of the processes.
        with ThreadPoolExecutor(12) as threads:
            calls = threads.map(lambda url: requests.get(url, headers=headers, timeout=60), urls)
            return {call.status_code for call in calls}

    try:
        assert statuses() == {200}
        revoke = (
            "from exports.models import *; ApiKey.objects.update(revoked_at='2023-02-27 16:00Z')"
        )
        deployment.manage("shell", "-v0", "-c", revoke)
        time.sleep(5)
        assert statuses() == {401}
    finally:
        deployment.stop()
