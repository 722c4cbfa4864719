"""API keys, unknown paths, content negotiation, and malformed HTTP requests."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
import requests

from tests.contract.conftest import Supplier

CALLS = [
    ("GET", "/readings?start_date=2023-02-27"),
    ("POST", "/readings/query"),
    ("POST", "/readings/file"),
    ("GET", "/readings/file?request_id=55e3059d-6274-4d97-89a8-40ca93bcd084"),
    ("DELETE", "/readings/file?request_id=55e3059d-6274-4d97-89a8-40ca93bcd084"),
    ("GET", "/readings/files"),
]
WRONG_KEYS: dict[str, dict[str, str]] = {
    "none": {},
    "wrong": {"Authorization": "Token hek_wrong"},
    "wrong in the other header": {"X-API-Key": "hek_wrong"},
    "empty": {"Authorization": "Token "},
    "empty in the other header": {"X-API-Key": ""},
    "another scheme": {"Authorization": "Basic c2Z0cC11c2VyOng="},
    "without a scheme": {"Authorization": "hek_wrong"},
    "Bearer": {"Authorization": "Bearer hek_wrong"},
    "enormous": {"Authorization": "Token " + "x" * 6000},
    "not ASCII": {"X-API-Key": "ключ".encode().decode("latin-1")},
}


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("headers", WRONG_KEYS.values(), ids=WRONG_KEYS.keys())
def test_a_call_without_a_valid_key_is_a_401_without_details(
    supplier: Supplier, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = requests.request(method, supplier.url + path, headers=headers, timeout=60)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Token"
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Token {}"},
        {"Authorization": "Bearer {}"},
        {"Authorization": "{}"},
        {"X-API-Key": "{}"},
    ],
)
def test_each_form_of_the_key_is_accepted(supplier: Supplier, header: dict[str, str]) -> None:
    headers = {name: value.format(supplier.key) for name, value in header.items()}
    answer = requests.get(f"{supplier.url}/readings/files", headers=headers, timeout=60)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/readings/nothing", 404),
        ("GET", "/nothing/here", 404),
        ("PUT", "/readings/file", 405),
        ("POST", "/readings", 405),
        ("DELETE", "/readings", 405),
    ],
)
def test_an_error_is_one_sentence_in_json(
    supplier: Supplier, method: str, path: str, status: int
) -> None:
    answer = supplier.call(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("accept", ["text/csv", "application/xml", "*/*", "text/html", "nonsense"])
def test_the_response_is_json_for_every_accept_header(supplier: Supplier, accept: str) -> None:
    answer = supplier.call("GET", "/readings/files", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_a_query_of_a_megabyte_is_refused_with_the_limit(supplier: Supplier) -> None:
    answer = supplier.call("GET", "/readings?start_date=" + "2" * 2**20)
    assert answer.status_code == 414
    assert "8190" in answer.json()["error"]


def send_raw(supplier: Supplier, request: bytes) -> tuple[int, str]:
    """Send bytes, and return the status and the body of the response."""
    parts = urlsplit(supplier.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /readings?start_date=\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /readings HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n", 400),
        (b"GET /readings HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (
            b"GET /readings/files HTTP/1.0\r\nHost: elsewhere.example\r\n\r\n",
            400,
        ),
    ],
)
def test_a_malformed_http_request_is_refused_in_json(
    supplier: Supplier, request_: bytes, status: int
) -> None:
    answered, body = send_raw(supplier, request_)
    assert answered in (status, 401) if b"\x00" in request_ else answered == status
    assert set(json.loads(body)) == {"error"}


def test_the_schema_and_its_page_load_nothing_from_other_hosts(supplier: Supplier) -> None:
    schema = requests.get(f"{supplier.url}/api/schema/?format=json", timeout=60).json()
    assert set(schema["paths"]) == {
        "/readings",
        "/readings/query",
        "/readings/file",
        "/readings/files",
    }
    page = requests.get(f"{supplier.url}/api/docs/", timeout=60)
    assert page.status_code == 200
    assert "https://" not in page.text
