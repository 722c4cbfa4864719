"""The API's responses if a service that it needs is down, and to errors that only a bug can cause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.test import Client
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from exports.models import Supplier
from readings import api
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.suppliers import api_client

QUERY = {"start_date": "2023-02-27"}


@pytest.fixture
def alice_client(db: None) -> APIClient:
    """A client with a valid API key."""
    return api_client(Supplier.objects.create(name="alice"))


def test_an_unavailable_repository_is_a_503(
    alice_client: APIClient,
    settings: Settings,
    tmp_path: Path,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings.READINGS_URL = f"delta://{tmp_path}/file/readings"
    answer = alice_client.get("/readings", QUERY)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert set(answer.json()) == {"error"}
    [line] = [line for line in log_lines() if line["logger"] == "headend.http.exception_handler"]
    assert "does not exist" in line["error"]
    assert "exc_info" not in line


@pytest.mark.parametrize(("accept", "start"), [("text/html", "<!doctype"), ("*/*", '{"error": ')])
def test_a_page_whose_readings_cannot_be_read_is_a_503_and_one_line_in_the_log(
    admin_client: Client,
    settings: Settings,
    tmp_path: Path,
    log_lines: Callable[[], list[dict[str, Any]]],
    accept: str,
    start: str,
) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings.READINGS_URL = f"delta://{tmp_path}/file/readings"
    path = f"/fleet/meters/{Fleet(devices=1).meters.device_id[0]}/"
    answer = admin_client.get(path, headers={"Accept": accept})
    assert answer.status_code == 503
    assert answer.content.decode().lower().startswith(start)
    assert "The readings cannot be read now." in answer.content.decode()
    [line] = [line for line in log_lines() if line["logger"] == "headend.portal.unavailable"]
    assert (line["path"], "exc_info" in line) == (path, False)


@pytest.mark.parametrize("path", ["/", "/fleet/", "/requests/", "/deliveries/", "/suppliers/"])
def test_a_page_without_a_database_is_a_503_and_one_line_in_the_log(
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
    path: str,
) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection failed")

    with monkeypatch.context() as outage:
        outage.setattr(CursorWrapper, "execute", refuse)
        answer = admin_client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "The database cannot be read now." in answer.content.decode()
    [line] = [line for line in log_lines() if line["logger"] == "headend.portal.unavailable"]
    assert (line["error"], "exc_info" in line) == ("connection failed", False)


def test_a_missing_data_file_is_a_503(
    alice_client: APIClient, store: ReadingsRepository, settings: Settings
) -> None:
    store.write(readings_for(Fleet(devices=5), datetime(2023, 2, 27, tzinfo=UTC)))
    for file in Path(settings.READINGS_URL.removeprefix("delta://")).rglob("*.parquet"):
        file.unlink()
    assert alice_client.get("/readings", QUERY).status_code == 503


def test_an_unavailable_database_is_a_503(
    alice_client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("exports.suppliers.authentication.find_supplier", refuse)
    answer = alice_client.get("/readings", QUERY)
    assert answer.status_code == 503
    assert answer["Retry-After"]


def test_an_unexpected_error_is_one_sentence_without_details(
    alice_client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("secret inner workings")

    monkeypatch.setattr(api, "described_repository", fail)
    alice_client.raise_request_exception = False
    answer = alice_client.get("/readings", QUERY)
    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}
    assert "secret" not in answer.content.decode()


def test_an_unknown_url_is_a_page_in_a_browser_and_json_for_others(client: Client) -> None:
    page = client.get("/nothing", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "<h1>404</h1>" in page.content.decode()
    assert client.get("/nothing").json() == {"error": "Not found."}
