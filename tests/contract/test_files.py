"""POST, GET and DELETE /readings/file and GET /readings/files."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import time
import uuid
from typing import Any

import pytest
import requests

from tests.contract.conftest import Supplier

STATUSES = ["queued", "submitted", "running", "completed"]
LOCATION = r"{}/run-\d{{13}}-part-r-00000\.gz"
TIMEOUT_SECONDS = 300


def poll_until_final(supplier: Supplier, request_id: str) -> list[dict[str, Any]]:
    """Poll until the request is final, and return all status responses in order."""
    seen = [supplier.get("/readings/file", request_id=request_id)]
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while seen[-1]["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, seen[-1]
        time.sleep(0.05)
        seen.append(supplier.get("/readings/file", request_id=request_id))
    return seen


def fetch(supplier: Supplier, location: str) -> bytes:
    """Return the content of a file, downloaded over SFTP."""
    with (
        supplier.transport() as transport,
        transport.open_sftp_client() as sftp,
        sftp.open(location) as file,
    ):
        file.prefetch()
        return bytes(file.read())


@pytest.fixture(scope="module")
def completed(supplier: Supplier, newest: list[str]) -> list[dict[str, Any]]:
    """All status responses of a request for two intervals, from the first to the final one."""
    return poll_until_final(
        supplier, supplier.request_file(start_date=newest[0], end_date=newest[1])
    )


def test_a_file_request_is_accepted_as_in_the_reference_guide(
    supplier: Supplier, newest: list[str]
) -> None:
    answer = supplier.call(
        "POST", "/readings/file", json={"start_date": newest[0], "end_date": newest[0]}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["request_id", "status"]
    assert body["status"] == "queued"
    assert str(uuid.UUID(body["request_id"])) == body["request_id"]


def test_the_status_only_moves_forward(completed: list[dict[str, Any]]) -> None:
    positions = [STATUSES.index(status["status"]) for status in completed]
    assert positions == sorted(positions)


def test_each_status_has_exactly_its_own_fields(completed: list[dict[str, Any]]) -> None:
    for status in completed:
        assert ("record_count" in status) == (status["status"] != "queued")
        assert ("sftp_location" in status) == (status["status"] == "completed")
        assert ("progress" in status) == (status["status"] == "running")
        if "progress" in status:
            assert 0 <= status["progress"] <= 1


def test_a_completed_request_has_the_location_size_and_checksum_of_its_file(
    supplier: Supplier, completed: list[dict[str, Any]]
) -> None:
    final = completed[-1]
    assert final["record_count"] == 100_000
    assert re.fullmatch(LOCATION.format(final["request_id"]), final["sftp_location"])
    data = fetch(supplier, final["sftp_location"])
    assert len(data) == final["size"]
    assert hashlib.sha256(data).hexdigest() == final["sha256"]


def test_the_file_has_the_same_readings_as_the_pages(
    supplier: Supplier, newest: list[str], completed: list[dict[str, Any]]
) -> None:
    text = gzip.decompress(fetch(supplier, completed[-1]["sftp_location"])).decode()
    assert text.startswith("time,arrival_time,device_id,measure_name,load,crrnt,pf,kva,kw,vltg\n")
    assert text.endswith("\n")
    assert "\r" not in text
    assert '"' not in text
    rows = list(csv.DictReader(io.StringIO(text)))
    page = supplier.get("/readings", start_date=newest[0], page_size=50_000)["records"]
    page += supplier.get("/readings", start_date=newest[1], page_size=50_000)["records"]
    assert len(rows) == len(page)
    for row, record in zip(rows, page, strict=True):
        assert list(row.values()) == [
            str(value) for name, value in record.items() if name != "offset"
        ]


def test_the_download_link_returns_the_same_file_without_a_key(
    supplier: Supplier, completed: list[dict[str, Any]]
) -> None:
    link = completed[-1]["download_url"]
    assert requests.get(link, timeout=60).content == fetch(supplier, completed[-1]["sftp_location"])
    assert requests.get(link + "x", timeout=60).status_code == 403


def test_an_interrupted_download_can_be_resumed(
    supplier: Supplier, completed: list[dict[str, Any]]
) -> None:
    link, size = completed[-1]["download_url"], completed[-1]["size"]
    half = size // 2
    rest = requests.get(link, headers={"Range": f"bytes={half}-"}, timeout=60)
    assert rest.status_code == 206
    assert rest.headers["Content-Range"] == f"bytes {half}-{size - 1}/{size}"
    assert rest.content == fetch(supplier, completed[-1]["sftp_location"])[half:]
    behind = requests.get(link, headers={"Range": f"bytes={size}-"}, timeout=60)
    assert behind.status_code == 416


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_the_body_is_read_as_json_for_every_content_type(
    supplier: Supplier, newest: list[str], content_type: str | None
) -> None:
    body = json.dumps({"start_date": newest[0], "end_date": newest[0]}).encode()
    headers = {"Content-Type": content_type} if content_type else {}
    answer = supplier.call("POST", "/readings/file", data=body, headers=headers)
    assert answer.status_code == 200, answer.text


def test_a_body_in_http_chunks_is_accepted(supplier: Supplier, newest: list[str]) -> None:
    body = json.dumps({"start_date": newest[0], "end_date": newest[0]}).encode()
    answer = supplier.call("POST", "/readings/file", data=iter([body[:9], body[9:]]))
    assert answer.status_code == 200, answer.text
    answer = supplier.call("POST", "/readings/file", data=iter([b" " * 40_000, b" " * 40_000]))
    assert answer.status_code == 413


def test_the_file_of_a_window_without_readings_has_only_a_header(supplier: Supplier) -> None:
    request_id = supplier.request_file(start_date="1999-01-01", end_date="1999-12-31")
    final = poll_until_final(supplier, request_id)[-1]
    assert (final["status"], final["record_count"]) == ("completed", 0)
    data = gzip.decompress(fetch(supplier, final["sftp_location"]))
    assert data == b"time,arrival_time,device_id,measure_name,load,crrnt,pf,kva,kw,vltg\n"


def test_the_same_idempotency_key_and_body_return_the_same_request(
    supplier: Supplier, newest: list[str]
) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"start_date": newest[0], "end_date": newest[0]}
    first, second = (
        supplier.call("POST", "/readings/file", json=body, headers=headers) for _ in range(2)
    )
    assert first.json()["request_id"] == second.json()["request_id"]
    other = supplier.call(
        "POST", "/readings/file", json={**body, "end_date": newest[1]}, headers=headers
    )
    assert other.status_code == 409
    assert "Idempotency-Key" in other.json()["error"]


def test_requests_are_listed_with_the_newest_first(supplier: Supplier, newest: list[str]) -> None:
    ids = [supplier.request_file(start_date=newest[0], end_date=newest[0]) for _ in range(3)]
    listed = supplier.get("/readings/files", page_size=3)
    assert [row["request_id"] for row in listed["results"]] == ids[::-1]
    assert listed["count"] >= 3
    assert listed["next"]


def test_a_request_that_is_not_final_can_be_cancelled(
    supplier: Supplier, newest: list[str]
) -> None:
    request_id = supplier.request_file(start_date="2000-01-01", end_date=newest[1])
    answer = supplier.call("DELETE", "/readings/file", params={"request_id": request_id})
    if answer.status_code == 200:
        assert (answer.json()["status"], answer.json()["reason"]) == ("failed", "cancelled")
    else:
        assert answer.status_code == 409
    poll_until_final(supplier, request_id)
    again = supplier.call("DELETE", "/readings/file", params={"request_id": request_id})
    assert again.status_code == 409


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    ("request_id", "status"),
    [
        (str(uuid.uuid4()), 404),
        ("55e3059d", 400),
        ("", 400),
        ("../../etc/passwd", 400),
        ("\x00", 400),
        ("x" * 5000, 400),
    ],
    ids=["unknown", "short", "empty", "a path", "a null byte", "too long"],
)
def test_unknown_and_malformed_ids_are_refused(
    supplier: Supplier, method: str, request_id: str, status: int
) -> None:
    answer = supplier.call(method, "/readings/file", params={"request_id": request_id})
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_request_of_another_supplier_is_answered_like_an_unknown_one(
    supplier: Supplier, other_key: str, completed: list[dict[str, Any]], method: str
) -> None:
    request_id = completed[-1]["request_id"]
    answer = supplier.call(
        method,
        "/readings/file",
        params={"request_id": request_id},
        headers={"Authorization": f"Token {other_key}"},
    )
    unknown = supplier.call(method, "/readings/file", params={"request_id": str(uuid.uuid4())})
    assert (answer.status_code, answer.text) == (404, unknown.text)
    listed = supplier.call(
        "GET", "/readings/files", headers={"Authorization": f"Token {other_key}"}
    )
    assert request_id not in listed.text


GOOD = {"start_date": "2023-02-27", "end_date": "2023-02-28"}
BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "start_date"),
    "a list": (b"[1]", 400, "object"),
    "a number": (b"7", 400, "object"),
    "a text": (b'"start_date"', 400, "object"),
    "null": (b"null", 400, "object"),
    "truncated": (json.dumps(GOOD).encode()[:-3], 400, "JSON"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), 400, "UTF-8"),
    "65 KiB": (b'{"start_date": "' + b"x" * 65 * 1024 + b'"}', 413, "64 KiB"),
    "deeply nested": (b"[" * 60_000, 400, "JSON"),
    "a key twice": (b'{"start_date":"2023-02-27","start_date":"2023-02-28"}', 400, "start_date"),
    "no end": (b'{"start_date": "2023-02-27"}', 400, "end_date"),
    "a null date": (json.dumps({**GOOD, "end_date": None}).encode(), 400, "end_date"),
    "a number for a date": (json.dumps({**GOOD, "end_date": 5}).encode(), 400, "end_date"),
    "a list for a date": (json.dumps({**GOOD, "end_date": ["x"]}).encode(), 400, "end_date"),
    "an unreadable date": (json.dumps({**GOOD, "start_date": "x"}).encode(), 400, "start_date"),
    "end before start": (json.dumps({**GOOD, "end_date": "2023-02-26"}).encode(), 400, "end_date"),
    "an unknown format": (json.dumps({**GOOD, "format": "xlsx"}).encode(), 400, "format"),
    "a list for a format": (json.dumps({**GOOD, "format": []}).encode(), 400, "format"),
    "an unknown key": (json.dumps({**GOOD, "colour": "red"}).encode(), 400, "colour"),
    "a start before 1970": (
        json.dumps({**GOOD, "start_date": "0001-01-01"}).encode(),
        400,
        "start_date",
    ),
    "an end in the year 9999": (
        json.dumps({**GOOD, "end_date": "9999-12-31"}).encode(),
        400,
        "end_date",
    ),
    "NaN": (b'{"start_date": NaN, "end_date": "2023-02-28"}', 400, "start_date"),
}


@pytest.mark.parametrize(("body", "status", "named"), BODIES.values(), ids=BODIES.keys())
def test_an_invalid_body_is_refused_and_the_error_names_the_field(
    supplier: Supplier, body: bytes, status: int, named: str
) -> None:
    answer = supplier.call("POST", "/readings/file", data=body)
    assert answer.status_code == status
    assert named in answer.json()["error"]


def test_a_window_of_long_ago_makes_an_empty_file(supplier: Supplier) -> None:
    request_id = supplier.request_file(start_date="1970-01-01", end_date="1970-01-02")
    assert poll_until_final(supplier, request_id)[-1]["record_count"] == 0


def test_an_idempotency_key_that_is_too_long_is_refused(supplier: Supplier) -> None:
    headers = {"Idempotency-Key": "x" * 201}
    answer = supplier.call("POST", "/readings/file", json=GOOD, headers=headers)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page_size=0", "page_size=1001", "colour=red"]
)
def test_invalid_parameters_of_the_list_are_refused(supplier: Supplier, query: str) -> None:
    answer = supplier.call("GET", f"/readings/files?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]
