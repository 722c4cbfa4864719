"""What is answered when something behind the service is down, or is a bug of ours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import OperationalError
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
def alices(db: None) -> APIClient:
    """A client with a good key."""
    return api_client(Supplier.objects.create(name="alice"))


def test_a_store_that_cannot_be_reached_is_a_503(
    alices: APIClient, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    settings.READINGS_URL = f"delta://{tmp_path}/file/readings"
    answer = alices.get("/readings", QUERY)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert set(answer.json()) == {"error"}


def test_a_data_file_that_is_gone_is_a_503(
    alices: APIClient, store: ReadingsRepository, settings: Settings
) -> None:
    store.write(readings_for(Fleet(devices=5), datetime(2023, 2, 27, tzinfo=UTC)))
    for file in Path(settings.READINGS_URL.removeprefix("delta://")).rglob("*.parquet"):
        file.unlink()
    assert alices.get("/readings", QUERY).status_code == 503


def test_a_database_that_cannot_be_reached_is_a_503(
    alices: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("exports.suppliers.authentication.find_supplier", refuse)
    answer = alices.get("/readings", QUERY)
    assert answer.status_code == 503
    assert answer["Retry-After"]


def test_a_bug_of_ours_is_one_sentence_without_a_traceback(
    alices: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("secret inner workings")

    monkeypatch.setattr(api, "repository", fail)
    alices.raise_request_exception = False
    answer = alices.get("/readings", QUERY)
    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}
    assert "secret" not in answer.content.decode()


def test_a_person_gets_a_page_where_nothing_is(client: Client) -> None:
    page = client.get("/nothing", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "<h1>404</h1>" in page.content.decode()
    assert client.get("/nothing").json() == {"error": "Not found."}
