"""The guide's chapters on the REST API and on downloading files, played by a client.

Knows the deployment only through HTTP and SFTP, and stops at the first thing that
is not as the guide and the contract say.
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
PATIENCE_SECONDS = 600
HTTP_SECONDS = 60
LOOK_BACK = timedelta(hours=1)
INTERVALS = 2
_INTEGERS, _FLOATS = {"load"}, {"crrnt", "pf", "kva", "kw", "vltg"}

Reading = dict[str, Any]
Say = Callable[[str], None]


class DifferenceError(Exception):
    """Something is not as it should be; the message says what."""


@dataclass(frozen=True)
class Client:
    """What a supplier has in hand."""

    url: str
    api_key: str
    sftp_host: str
    sftp_port: int
    user: str
    private_key: paramiko.PKey

    def get(self, url: str, **parameters: str | int) -> Any:
        """A GET's JSON. Raises :class:`DifferenceError` for any answer but 200."""
        return self._json(
            requests.get(url, parameters, headers=self._headers, timeout=HTTP_SECONDS)
        )

    def post(self, url: str, body: dict[str, str]) -> Any:
        """A POST's JSON. Raises :class:`DifferenceError` for any answer but 200."""
        return self._json(
            requests.post(url, json=body, headers=self._headers, timeout=HTTP_SECONDS)
        )

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.api_key}"}

    def _json(self, answer: requests.Response) -> Any:
        if answer.status_code != requests.codes.ok:
            raise DifferenceError(
                f"{answer.request.method} {answer.url} answered {answer.status_code}: {answer.text[:300]}"
            )
        return answer.json()


@dataclass(frozen=True)
class Window:
    """What the tour looks at: canonical texts."""

    start: str
    end: str
    as_of: str


def play(client: Client, say: Say) -> None:
    """Play both chapters. Raises :class:`DifferenceError` at the first difference."""
    window = _recent_window(client, say)
    pages = _by_offsets(client, window, say)
    _same(pages, _by_links(client, window, say), "pages by offset", "pages by next links")
    status = _request_file(client, window, say)
    _expect(status["record_count"], len(pages), "record_count", "readings in the pages")
    data = _fetch(client, status["sftp_location"], say)
    _expect(len(data), status["size"], "bytes fetched", "size")
    _expect(hashlib.sha256(data).hexdigest(), status["sha256"], "sha256 of the file", "sha256")
    _same(pages, list(_readings_in(data)), "pages", "the file")
    say(f"every one of {len(pages):,} readings is the same in the pages and in the file")


def _recent_window(client: Client, say: Say) -> Window:
    now = datetime.now(UTC)
    first = client.get(f"{client.url}/readings", start_date=_text(now - LOOK_BACK), page_size=1)
    if not first["records"]:
        raise DifferenceError("There are no readings of the last hour; is the fleet running?")
    start = _instant(first["records"][0]["time"])
    meters = _count(client, _text(start))
    following = client.get(
        f"{client.url}/readings", start_date=_text(start), page_size=1, offset=meters
    )
    step = (
        _instant(following["records"][0]["time"]) - start if following["records"] else timedelta()
    )
    window = Window(_text(start), _text(start + (INTERVALS - 1) * step), _text(now))
    say(f"window {window.start} to {window.end}, as of {window.as_of}")
    return window


def _count(client: Client, time: str) -> int:
    """How many readings one interval has, found by halving: each look costs one page of one."""
    low, high = 1, 2
    while _has(client, time, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _has(client, time, middle) else (low, middle)
    return low


def _has(client: Client, time: str, number: int) -> bool:
    page = client.get(
        f"{client.url}/readings", start_date=time, end_date=time, page_size=1, offset=number - 1
    )
    return bool(page["records"])


def _by_offsets(client: Client, window: Window, say: Say) -> list[Reading]:
    """The guide's loop: pass ``last_offset`` on until nothing comes."""
    began, readings, offset = time.monotonic(), list[Reading](), 0
    while True:
        page = client.get(
            f"{client.url}/readings",
            start_date=window.start,
            end_date=window.end,
            as_of=window.as_of,
            page_size=PAGE_SIZE,
            offset=offset,
        )
        _expect(
            page["filter_params"]["start_date"], window.start, "start_date", "the one asked for"
        )
        _expect(page["results"]["records_total"], len(page["records"]), "records_total", "records")
        if not page["records"]:
            break
        offset = page["results"]["last_offset"]
        readings += page["records"]
        _expect(readings[-1]["offset"], offset, "offset of the last record", "last_offset")
        _expect(offset, len(readings), "last_offset", "readings so far")
    _in_order(readings)
    _report(say, "by offset", readings, began)
    return readings


def _by_links(client: Client, window: Window, say: Say) -> list[Reading]:
    began, readings = time.monotonic(), list[Reading]()
    page = client.get(
        f"{client.url}/readings",
        start_date=window.start,
        end_date=window.end,
        as_of=window.as_of,
        page_size=PAGE_SIZE,
    )
    readings += page["records"]
    while page["next"]:
        page = client.get(page["next"])
        readings += page["records"]
    _report(say, "by next links", readings, began)
    return readings


def _request_file(client: Client, window: Window, say: Say) -> Any:
    began = time.monotonic()
    body = {"start_date": window.start, "end_date": window.end, "as_of": window.as_of}
    accepted = client.post(f"{client.url}/readings/file", body)
    _expect(accepted["status"], "queued", "status of a new request", "the guide's")
    request_id = accepted["request_id"]
    say(f"file requested: {request_id}")
    seen = ["queued"]
    while True:
        status = client.get(f"{client.url}/readings/file", request_id=request_id)
        if status["status"] != seen[-1]:
            seen.append(status["status"])
        if status["status"] in ("completed", "failed"):
            break
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise DifferenceError(f"the request is still {status['status']}")
        time.sleep(POLL_SECONDS)
    say(f"{' > '.join(seen)} in {time.monotonic() - began:.1f} s")
    _expect(status["status"], "completed", "status", "the expected one")
    return status


def _fetch(client: Client, location: str, say: Say) -> bytes:
    began = time.monotonic()
    with paramiko.Transport((client.sftp_host, client.sftp_port)) as transport:
        transport.connect(username=client.user, pkey=client.private_key)
        say(f"SFTP server's host key: {transport.get_remote_server_key().fingerprint}")
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        with sftp, sftp.open(location, "rb") as file:
            file.prefetch()
            data = file.read()
    say(f"{location}: {len(data):,} bytes in {time.monotonic() - began:.1f} s")
    return data


def _readings_in(data: bytes) -> Iterator[Reading]:
    text = io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(data)), encoding="utf-8", newline="\n")
    for offset, row in enumerate(csv.DictReader(text), start=1):
        reading: Reading = {"offset": offset}
        for name, value in row.items():
            reading[name] = (
                int(value) if name in _INTEGERS else float(value) if name in _FLOATS else value
            )
        yield reading


def _same(first: list[Reading], second: list[Reading], one: str, other: str) -> None:
    for left, right in zip(first, second, strict=False):
        if left != right or list(left) != list(right):
            raise DifferenceError(f"{one} have {left}\n{other} has {right}")
    _expect(len(first), len(second), f"readings in {one}", f"readings in {other}")


def _in_order(readings: list[Reading]) -> None:
    keys = [(reading["time"], reading["device_id"]) for reading in readings]
    for earlier, later in pairwise(keys):
        if not earlier < later:
            raise DifferenceError(f"{later} comes behind {earlier}")


def _expect(value: object, wanted: object, name: str, against: str) -> None:
    if value != wanted:
        raise DifferenceError(f"{name} is {value!r}, {against} {wanted!r}")


def _report(say: Say, how: str, readings: list[Reading], began: float) -> None:
    seconds = time.monotonic() - began
    say(f"pages {how}: {len(readings):,} readings in {seconds:.1f} s")


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S.%f")


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
