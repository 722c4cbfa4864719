"""Many suppliers that poll, page and request files at the same time, each over one persistent connection.

The client shares the machine with the servers that it measures, so it uses little processor time: one thread
per supplier, which waits most of the time; ``http.client``, which needs a third of the time of ``requests``;
responses that are read completely, but parsed only for the next call. It reports its share of one core.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

from readings.instants import format_instant
from tests.services.cluster import Cluster
from tests.services.file_requests import FINAL, START

PAGE_SIZE = 100
HTTP_TIMEOUT_SECONDS = 60
DRAIN_SECONDS = 300
"""How long to wait, after the measurement, until the last file requests are final."""
POST, STATUS, PAGE = "POST /readings/file", "GET /readings/file", "GET /readings"

_NEW_KEYS = """
import json
from exports.credentials import PREFIX_LENGTH, digest, new_api_key
from exports.models import ApiKey, Supplier
keys = [new_api_key() for _ in range({count})]
for number, key in enumerate(keys):
    supplier = Supplier.objects.create(name=f"supplier-{{number}}")
    ApiKey.objects.create(supplier=supplier, prefix=key[:PREFIX_LENGTH], digest=digest(key))
print(json.dumps(keys))
"""


@dataclass
class Measurement:
    """Response times in seconds by kind of call, errors by kind, and file requests by final status."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    calls: Counter[str] = field(default_factory=Counter)
    """All calls by kind, including those after the measured time."""
    errors: Counter[str] = field(default_factory=Counter)
    final_statuses: Counter[str] = field(default_factory=Counter)
    client_share: float = 0.0
    """The processor time of the client, as a share of one core."""

    def percentiles(self, call: str) -> tuple[float, float, float]:
        """Return the 50th, 95th and 99th percentile of the response times, in milliseconds."""
        p50, p95, p99 = np.percentile(self.seconds[call], (50, 95, 99)) * 1000
        return p50, p95, p99

    def check(self) -> None:
        """Check that no call had an error, and that every file request completed."""
        assert not self.errors, self.errors
        assert set(self.final_statuses) == {"completed"}, self.final_statuses


def measure_suppliers(
    cluster: Cluster, *, suppliers: int, seconds: float, hours: int, pause: float = 1.0
) -> Measurement:
    """Let ``suppliers`` make calls for ``seconds``, with ``pause`` seconds on average before each call.

    Each supplier requests small files from the first ``hours`` of readings, polls each request until it is
    final, and reads pages between the polls. Calls that start after ``seconds`` are not measured.
    """
    printed = cluster.manage(
        "shell", "--verbosity", "0", "--command", _NEW_KEYS.format(count=suppliers)
    )
    until = time.monotonic() + seconds
    measurement = Measurement()
    threads = [
        _Supplier(cluster, key, measurement, seed=seed, until=until, hours=hours, pause=pause)
        for seed, key in enumerate(json.loads(printed.stdout))
    ]
    started, processor_time = time.monotonic(), time.process_time()
    for thread in threads:
        thread.start()
    time.sleep(max(0, until - time.monotonic()))
    used = time.process_time() - processor_time
    measurement.client_share = used / (time.monotonic() - started)
    for thread in threads:
        thread.join()
    return measurement


class _Supplier(threading.Thread):
    def __init__(
        self,
        cluster: Cluster,
        key: str,
        measurement: Measurement,
        *,
        seed: int,
        until: float,
        hours: int,
        pause: float,
    ) -> None:
        super().__init__(daemon=True)
        address = urlsplit(cluster.outputs["apiGatewayInvokeURL"])
        self._connection = http.client.HTTPConnection(address.netloc, timeout=HTTP_TIMEOUT_SECONDS)
        self._headers = {"Authorization": f"Token {key}"}
        self._measurement = measurement
        self._random = random.Random(seed)
        self._until = until
        self._hours = hours
        self._pause = pause
        self._pages = self._read_pages()

    def run(self) -> None:
        try:
            while time.monotonic() < self._until:
                self._request_file()
        except Exception as error:
            self._measurement.errors[f"{type(error).__name__}: {error}"] += 1
        finally:
            self._connection.close()

    def _request_file(self) -> None:
        """Request a file and poll until it is final; read one page between two polls."""
        accepted = self._call(POST, "POST", "/readings/file", self._small_window())
        if accepted is None:
            return
        path = f"/readings/file?request_id={accepted['request_id']}"
        deadline = self._until + DRAIN_SECONDS
        while time.monotonic() < deadline:
            status = self._call(STATUS, "GET", path)
            if status is not None and status["status"] in FINAL:
                self._measurement.final_statuses[status["status"]] += 1
                return
            next(self._pages)
        self._measurement.final_statuses["not final"] += 1

    def _small_window(self) -> bytes:
        first = START + self._random.randrange(self._hours * 12 - 1) * timedelta(minutes=5)
        end = first + timedelta(minutes=5)
        return json.dumps(
            {"start_date": format_instant(first), "end_date": format_instant(end)}
        ).encode()

    def _read_pages(self) -> Iterator[None]:
        """Read one page per iteration; start again with the first page after the last one."""
        first = "/readings?" + urlencode(
            {"start_date": format_instant(START), "page_size": PAGE_SIZE}
        )
        path = first
        while True:
            page = self._call(PAGE, "GET", path)
            following = urlsplit(page["next"]) if page and page["next"] else None
            path = f"{following.path}?{following.query}" if following else first
            yield

    def _call(self, kind: str, method: str, path: str, body: bytes | None = None) -> Any:
        """Pause, call, and return the JSON of the response; count an error and return None if the call fails."""
        time.sleep(self._random.uniform(0, 2 * self._pause))
        self._measurement.calls[kind] += 1
        started = time.monotonic()
        try:
            self._connection.request(method, path, body, self._headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._measurement.errors[f"{kind}: {type(error).__name__}"] += 1
            return None
        if started < self._until:
            self._measurement.seconds[kind].append(time.monotonic() - started)
        if response.status != http.client.OK:
            self._measurement.errors[f"{kind}: {response.status}"] += 1
            return None
        return json.loads(content)
