"""POST /readings/query: the parameters of GET /readings as JSON, for many meters."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from rest_framework.test import APIClient

from exports.models import Supplier
from readings.parameters import DeviceIdField
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals
from tests.suppliers import api_client

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FLEET = Fleet(devices=40)


@pytest.fixture
def client_of_alice(db: None, store: ReadingsRepository) -> APIClient:
    """A client that sends the API key of the supplier alice. The repository has three intervals."""
    for interval in range(3):
        store.write(readings_for(FLEET, NOON + interval * timedelta(minutes=5)))
    return api_client(Supplier.objects.create(name="alice"))


def query(client: APIClient, body: Any, path: str = "/readings/query") -> Any:
    """POST a body in JSON, and return the response."""
    return client.post(path, json.dumps(body), content_type="application/json")


def test_a_query_returns_the_page_of_the_same_parameters(client_of_alice: APIClient) -> None:
    meters = FLEET.meters.device_id.to_list()[3:9]
    parameters: dict[str, Any] = {
        "start_date": "2026-05-01 12:05",
        "device_id": meters,
        "page_size": 7,
    }
    page = client_of_alice.get("/readings", parameters).json()
    queried = query(client_of_alice, parameters).json()
    assert len(queried["records"]) == 7
    assert {key: queried[key] for key in queried if key != "next"} == {
        key: page[key] for key in page if key != "next"
    }


def test_the_same_body_sent_to_next_returns_every_reading_once(client_of_alice: APIClient) -> None:
    ids = FLEET.meters.device_id.to_list()
    # About as many ids as a body can have; nearly all of them are unknown.
    ids += [str(uuid.UUID(int=number)) for number in range(50_000)]
    body = {"start_date": "2026-05-01", "device_id": ids, "page_size": 50}
    page = query(client_of_alice, body).json()
    offsets = [record["offset"] for record in page["records"]]
    while page["next"]:
        assert len(page["next"]) < 300
        page = query(client_of_alice, body, page["next"]).json()
        offsets += [record["offset"] for record in page["records"]]
    assert offsets == list(range(1, 121))


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "start_date"),
        ({"start_date": "2026-05-01", "device_id": "x" * 65}, f"device_id: '{'x' * 40}…' is not"),
        ({"start_date": "2026-05-01", "device_id": ["a,b"]}, "'a,b' is not a meter id"),
        ({"start_date": "2026-05-01", "device_id": [" "]}, "device_id"),
        ({"start_date": "2026-05-01", "device_id": [5]}, "device_id takes ids as text in quotes"),
        (
            {"start_date": "2026-05-01", "device_id": [None]},
            "device_id takes ids as text in quotes",
        ),
        (
            {"start_date": "2026-05-01", "device_id": 5},
            "device_id takes the text of an id in quotes",
        ),
        ({"start_date": "2026-05-01", "device_id": []}, "device_id is an empty list"),
        ({"start_date": "2026-05-01", "device_id": None}, "device_id is null"),
        ({"start_date": "2026-05-01", "page_size": 50_001}, "page_size"),
        ({"start_date": "2026-05-01", "colour": "red"}, "'colour'"),
        (["2026-05-01"], "object"),
    ],
)
def test_a_wrong_parameter_is_named(client_of_alice: APIClient, body: Any, named: str) -> None:
    answer = query(client_of_alice, body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_the_first_wrong_id_ends_the_check_of_a_body(
    client_of_alice: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def check(field: DeviceIdField, data: str) -> str:
        checked.append(data)
        return parse(field, data)

    parse = DeviceIdField.to_internal_value
    monkeypatch.setattr(DeviceIdField, "to_internal_value", check)
    answer = query(client_of_alice, {"start_date": "2026-05-01", "device_id": ["a", *[","] * 1000]})
    assert answer.status_code == 400
    assert "',' is not a meter id" in answer.json()["error"]
    assert checked == ["a", ","]


def test_a_meter_is_found_by_its_text_and_by_every_form_of_a_uuid(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    readings = readings_for(FLEET, NOON)
    uuid_of_meter = readings.item(7, "device_id")
    store.write(readings.head(1).with_columns(device_id=pl.lit("NMI 4102/é")))
    forms = [uuid_of_meter.upper(), uuid_of_meter.replace("-", ""), " NMI 4102/é "]
    body = {"start_date": f"{NOON}", "end_date": f"{NOON}", "device_id": forms, "page_size": 1}
    first = query(client_of_alice, body).json()
    second = query(client_of_alice, body, first["next"]).json()
    found = [record["device_id"] for page in (first, second) for record in page["records"]]
    assert found == sorted([uuid_of_meter, "NMI 4102/é"])
    assert second["next"] is None
    one = query(client_of_alice, body | {"device_id": "NMI 4102/é"}).json()
    assert [record["device_id"] for record in one["records"]] == ["NMI 4102/é"]
    assert one["filter_params"]["device_id"] == ["NMI 4102/é"]


def test_a_url_finds_a_known_meter_by_its_text_and_refuses_an_unknown_one(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    store.write(readings_for(FLEET, NOON).head(1).with_columns(device_id=pl.lit("NMI 4102/é")))
    update_totals(store.snapshot())
    wanted = {"start_date": f"{NOON}", "device_id": ["NMI 4102/é", str(uuid.uuid4())]}
    page = client_of_alice.get("/readings", wanted).json()
    assert [record["device_id"] for record in page["records"]] == ["NMI 4102/é"]
    answer = client_of_alice.get("/readings", wanted | {"device_id": "NMI 4103"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "device_id: no known meter has the id 'NMI 4103'."


def test_a_url_with_bytes_that_are_not_ascii_is_read_as_utf_8(client_of_alice: APIClient) -> None:
    # A WSGI server passes each byte as one character.
    raw = "start_date=2026-05-01&größe=1".encode().decode("latin-1")
    answer = client_of_alice.get("/readings", QUERY_STRING=raw)
    assert answer.status_code == 400
    assert "Unknown parameter: 'größe'." in answer.json()["error"]


def test_the_url_takes_only_the_parameters_of_next(client_of_alice: APIClient) -> None:
    body = {"start_date": "2026-05-01"}
    answer = query(client_of_alice, body, "/readings/query?page_size=3")
    assert answer.status_code == 400
    assert "'page_size'" in answer.json()["error"]


def test_a_wrong_value_in_the_body_is_refused_although_the_url_replaces_it(
    client_of_alice: APIClient,
) -> None:
    body = {"start_date": "2026-05-01", "offset": "many"}
    assert query(client_of_alice, body, "/readings/query?offset=3").status_code == 400


def test_a_body_may_have_two_mebibytes(client_of_alice: APIClient) -> None:
    body = '{"start_date": "2026-05-01"}'
    for size, status in ((2 * 2**20, 200), (2 * 2**20 + 1, 413)):
        answer = client_of_alice.post(
            "/readings/query", body.ljust(size), content_type="text/plain"
        )
        assert answer.status_code == status, answer.json()
    assert answer.json() == {"error": "The body is larger than 2048 KiB."}


def test_a_query_needs_a_key(db: None) -> None:
    assert query(APIClient(), {"start_date": "2026-05-01"}).status_code == 401
