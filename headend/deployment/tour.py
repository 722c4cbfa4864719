"""A client that tests a running deployment against the AWS guide.

It follows the guide's chapters on the REST API and on downloading files: it gets recent readings in pages,
requests a file of the same window, downloads the file over SFTP, and compares every reading. It uses only
HTTP and SFTP, and stops at the first difference from the guide or the contract.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import paramiko
import requests

PAGE_SIZE = 5_000
POLL_SECONDS = 0.5
FILE_TIMEOUT_SECONDS = 600
HTTP_TIMEOUT_SECONDS = 60
LOOK_BACK = timedelta(hours=1)
INTERVALS = 2
_INTEGERS, _FLOATS = {"load"}, {"crrnt", "pf", "kva", "kw", "vltg"}

Reading = dict[str, Any]
Report = Callable[[str], None]
"""A function that receives one line about each step of the tour."""


class DifferenceError(Exception):
    """The deployment does not behave as the guide says; the message says where."""


class KeyRefusedError(Exception):
    """The deployment does not accept the API key; the message contains its answer."""


@dataclass(frozen=True)
class Client:
    """A supplier's addresses and keys, and HTTP calls with them."""

    url: str
    api_key: str
    sftp_host: str
    sftp_port: int
    user: str
    private_key: paramiko.PKey

    def get(self, url: str, **parameters: str | int) -> Any:
        """Return the JSON of a GET request.

        Raises :class:`KeyRefusedError` if the status is 401, and :class:`DifferenceError` if it is another than 200.
        """
        return self._json(
            requests.get(url, parameters, headers=self._headers, timeout=HTTP_TIMEOUT_SECONDS)
        )

    def post(self, url: str, body: dict[str, str]) -> Any:
        """Return the JSON of a POST request. Raises the same errors as :meth:`get`."""
        return self._json(
            requests.post(url, json=body, headers=self._headers, timeout=HTTP_TIMEOUT_SECONDS)
        )

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.api_key}"}

    def _json(self, response: requests.Response) -> Any:
        if response.status_code == requests.codes.ok:
            return response.json()
        answer = (
            f"{response.request.method} {response.url} answered {response.status_code}:"
            f" {response.text[:300]}"
        )
        if response.status_code == requests.codes.unauthorized:
            raise KeyRefusedError(f"The API key is refused. {answer}")
        raise DifferenceError(answer)


@dataclass(frozen=True)
class Window:
    """The readings that the tour compares: first and last time, both inclusive, and the latest arrival time.

    The times are in canonical text form.
    """

    start: str
    end: str
    as_of: str

    def parameters(self) -> dict[str, str]:
        """Return the window as parameters of the API."""
        return {"start_date": self.start, "end_date": self.end, "as_of": self.as_of}


def run_tour(client: Client, report: Report) -> None:
    """Test both chapters and report each step.

    Raises :class:`DifferenceError` at the first difference, :class:`KeyRefusedError`, and the errors of ``requests``
    and ``paramiko`` if the deployment is not reachable.
    """
    window = _recent_window(client, report)
    pages = _pages_by_offset(client, window, report)
    _expect_same_readings(
        pages, _pages_by_links(client, window, report), "pages by offset", "pages by next links"
    )
    status = _request_file(client, window, report)
    _expect(status["record_count"], len(pages), "record_count", "number of readings in the pages")
    data = _download(client, status["sftp_location"], report)
    _expect(len(data), status["size"], "number of bytes downloaded", "size")
    _expect(hashlib.sha256(data).hexdigest(), status["sha256"], "SHA-256 of the file", "sha256")
    _expect_same_readings(pages, list(_readings_in_file(data)), "pages", "file")
    report(f"all {len(pages):,} readings are the same in the pages and in the file")


def _recent_window(client: Client, report: Report) -> Window:
    now = datetime.now(UTC)
    first = client.get(f"{client.url}/readings", start_date=_text(now - LOOK_BACK), page_size=1)
    if not first["records"]:
        raise DifferenceError("There are no readings of the last hour. Is the simulated fleet on?")
    start = _instant(first["records"][0]["time"])
    meters = _count_readings(client, _text(start))
    following = client.get(
        f"{client.url}/readings", start_date=_text(start), page_size=1, offset=meters
    )
    step = (
        _instant(following["records"][0]["time"]) - start if following["records"] else timedelta()
    )
    window = Window(_text(start), _text(start + (INTERVALS - 1) * step), _text(now))
    report(f"window {window.start} to {window.end}, as of {window.as_of}")
    return window


def _count_readings(client: Client, time: str) -> int:
    """Return how many readings one interval has, by a binary search with pages of one reading."""
    low, high = 1, 2
    while _has_reading(client, time, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _has_reading(client, time, middle) else (low, middle)
    return low


def _has_reading(client: Client, time: str, number: int) -> bool:
    """Return whether the interval has at least ``number`` readings."""
    page = client.get(
        f"{client.url}/readings", start_date=time, end_date=time, page_size=1, offset=number - 1
    )
    return bool(page["records"])


def _pages_by_offset(client: Client, window: Window, report: Report) -> list[Reading]:
    """Return the window's readings from pages by ``last_offset``, until a page is empty, as the guide does."""
    started, readings, offset = time.monotonic(), list[Reading](), 0
    while True:
        page = client.get(
            f"{client.url}/readings",
            **window.parameters(),
            page_size=PAGE_SIZE,
            offset=offset,
        )
        _expect(
            page["filter_params"]["start_date"], window.start, "start_date", "the requested one"
        )
        _expect(page["results"]["records_total"], len(page["records"]), "records_total", "records")
        if not page["records"]:
            break
        offset = page["results"]["last_offset"]
        readings += page["records"]
        _expect(readings[-1]["offset"], offset, "offset of the last record", "last_offset")
        _expect(offset, len(readings), "last_offset", "number of readings so far")
    _expect_order(readings)
    _report_pages(report, "by offset", readings, started)
    return readings


def _pages_by_links(client: Client, window: Window, report: Report) -> list[Reading]:
    """Return the window's readings, from pages that ``next`` links name."""
    started, readings = time.monotonic(), list[Reading]()
    page = client.get(
        f"{client.url}/readings",
        **window.parameters(),
        page_size=PAGE_SIZE,
    )
    readings += page["records"]
    while page["next"]:
        page = client.get(page["next"])
        readings += page["records"]
    _report_pages(report, "by next links", readings, started)
    return readings


def _request_file(client: Client, window: Window, report: Report) -> Any:
    """Request a file of the window, wait until it is completed, and return the status response."""
    started = time.monotonic()
    accepted = client.post(f"{client.url}/readings/file", window.parameters())
    _expect(accepted["status"], "queued", "status of a new request", "the guide's value")
    request_id = accepted["request_id"]
    report(f"file requested: {request_id}")
    statuses = ["queued"]
    while True:
        status = client.get(f"{client.url}/readings/file", request_id=request_id)
        if status["status"] != statuses[-1]:
            statuses.append(status["status"])
        if status["status"] in ("completed", "failed"):
            break
        if time.monotonic() - started > FILE_TIMEOUT_SECONDS:
            raise DifferenceError(
                f"After {FILE_TIMEOUT_SECONDS} s the request is still {status['status']}."
            )
        time.sleep(POLL_SECONDS)
    report(f"{' > '.join(statuses)} in {time.monotonic() - started:.1f} s")
    _expect(status["status"], "completed", "status", "the expected value")
    return status


def _download(client: Client, location: str, report: Report) -> bytes:
    """Return the content of a file, downloaded over SFTP."""
    started = time.monotonic()
    with paramiko.Transport((client.sftp_host, client.sftp_port)) as transport:
        transport.connect(username=client.user, pkey=client.private_key)
        report(f"host key of the SFTP server: {transport.get_remote_server_key().fingerprint}")
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        with sftp, sftp.open(location, "rb") as file:
            file.prefetch()
            data = file.read()
    report(f"{location}: {len(data):,} bytes in {time.monotonic() - started:.1f} s")
    return data


def _readings_in_file(data: bytes) -> Iterator[Reading]:
    """Yield the readings of a gzipped CSV file in the form in which pages have them."""
    text = io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(data)), encoding="utf-8", newline="\n")
    for offset, row in enumerate(csv.DictReader(text), start=1):
        reading: Reading = {"offset": offset}
        for name, value in row.items():
            reading[name] = (
                int(value) if name in _INTEGERS else float(value) if name in _FLOATS else value
            )
        yield reading


def _expect_same_readings(
    first: list[Reading], second: list[Reading], first_name: str, second_name: str
) -> None:
    for left, right in zip(first, second, strict=False):
        if left != right or list(left) != list(right):
            raise DifferenceError(f"{first_name}: {left}\n{second_name}: {right}")
    _expect(
        len(first),
        len(second),
        f"number of readings in {first_name}",
        f"number of readings in {second_name}",
    )


def _expect_order(readings: list[Reading]) -> None:
    keys = [(reading["time"], reading["device_id"]) for reading in readings]
    for earlier, later in pairwise(keys):
        if not earlier < later:
            raise DifferenceError(f"{later} follows {earlier}, which is not in order")


def _expect(value: object, expected: object, name: str, expected_name: str) -> None:
    if value != expected:
        raise DifferenceError(f"{name} is {value!r}, but {expected_name} is {expected!r}")


def _report_pages(report: Report, method: str, readings: list[Reading], started: float) -> None:
    seconds = time.monotonic() - started
    report(f"pages {method}: {len(readings):,} readings in {seconds:.1f} s")


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S.%f")


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
