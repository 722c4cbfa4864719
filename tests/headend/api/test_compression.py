"""gzip responses: on request, and never for responses with secrets."""

from __future__ import annotations

import gzip

import pytest
from rest_framework.test import APIClient

from exports.models import FileRequest, Supplier
from headend.api.compression import accepts_gzip
from tests.suppliers import api_client

GZIP = {"Accept-Encoding": "gzip, deflate"}


@pytest.fixture
def client_of_alice(alice: Supplier) -> APIClient:
    """A client that sends the API key of the supplier alice."""
    return api_client(alice)


def test_a_page_is_compressed_on_request(client_of_alice: APIClient, readings: object) -> None:
    query = {"start_date": "2023-02-27", "page_size": "500"}
    plain = client_of_alice.get("/readings", query)
    packed = client_of_alice.get("/readings", query, headers=GZIP)
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content) / 3
    assert gzip.decompress(packed.content) == plain.content
    assert "Accept-Encoding" in plain["Vary"]
    assert "Accept-Encoding" in packed["Vary"]


def test_a_small_response_is_not_compressed(client_of_alice: APIClient, readings: object) -> None:
    answer = client_of_alice.get("/readings", {"start_date": "2024-01-01"}, headers=GZIP)
    assert "Content-Encoding" not in answer


def test_the_schema_is_compressed_on_request(client_of_alice: APIClient) -> None:
    answer = client_of_alice.get("/api/schema/", headers=GZIP)
    assert gzip.decompress(answer.content).startswith(b"openapi:")


def test_responses_with_download_links_are_never_compressed(
    client_of_alice: APIClient, completed: FileRequest
) -> None:
    for path in ("/readings/files", f"/readings/file?request_id={completed.pk}"):
        answer = client_of_alice.get(path, headers=GZIP)
        assert "signature=" in answer.content.decode()
        assert "Content-Encoding" not in answer


def test_pages_of_the_portal_are_never_compressed(operator: APIClient) -> None:
    answer = operator.get("/suppliers/", headers=GZIP)
    assert len(answer.content) > 1_000
    assert "Content-Encoding" not in answer


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("x-gzip", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("gzip;q=none", False),
    ],
)
def test_the_header_is_read_with_its_qualities(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
