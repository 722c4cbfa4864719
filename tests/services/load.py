"""Suppliers who poll, page and order all at once, each over a connection that is kept.

The client shares the machine with what it measures. So it does little: a thread a supplier, which
waits most of the time; `http.client`, a third of the processor time of `requests`; answers that are
read whole, but parsed only as far as the next call needs. It says what share of a core it took.
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

from readings.frame import format_instant
from tests.services.cluster import Cluster
from tests.services.orders import FINAL, START

PAGE_SIZE = 100
PATIENCE_SECONDS = 60
DRAIN_SECONDS = 120
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
class Load:
    """What the suppliers met: seconds by kind of call, errors by kind of error."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    client_share: float = 0.0

    def percentiles(self, call: str) -> tuple[float, float, float]:
        """Milliseconds within which 50, 95 and 99 of a hundred calls were answered."""
        p50, p95, p99 = np.percentile(self.seconds[call], (50, 95, 99)) * 1000
        return p50, p95, p99

    def check(self) -> None:
        """Nobody met an error, and every order became a file."""
        assert not self.errors, self.errors
        assert set(self.ended) == {"completed"}, self.ended


def load(
    cluster: Cluster, *, suppliers: int, seconds: float, hours: int, pause: float = 1.0
) -> Load:
    """``suppliers`` call for ``seconds``, each ``pause`` seconds on average after its last answer.

    Each asks for small files of the first ``hours`` of readings, polls each until it is final, and
    turns pages meanwhile. What is not final at the end is waited for, uncounted.
    """
    printed = cluster.manage(
        "shell", "--verbosity", "0", "--command", _NEW_KEYS.format(count=suppliers)
    )
    until = time.monotonic() + seconds
    measured = Load()
    threads = [
        _Supplier(cluster, key, measured, seed=seed, until=until, hours=hours, pause=pause)
        for seed, key in enumerate(json.loads(printed.stdout))
    ]
    began, busy = time.monotonic(), time.process_time()
    for thread in threads:
        thread.start()
    time.sleep(max(0, until - time.monotonic()))
    measured.client_share = (time.process_time() - busy) / (time.monotonic() - began)
    for thread in threads:
        thread.join()
    return measured


class _Supplier(threading.Thread):
    def __init__(
        self,
        cluster: Cluster,
        key: str,
        measured: Load,
        *,
        seed: int,
        until: float,
        hours: int,
        pause: float,
    ) -> None:
        super().__init__(daemon=True)
        address = urlsplit(cluster.outputs["apiGatewayInvokeURL"])
        self._connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE_SECONDS)
        self._headers = {"Authorization": f"Token {key}"}
        self._measured = measured
        self._draw = random.Random(seed)
        self._until = until
        self._hours = hours
        self._pause = pause
        self._pages = self._turning()

    def run(self) -> None:
        try:
            while time.monotonic() < self._until:
                self._order()
        except Exception as error:
            self._measured.errors[f"{type(error).__name__}: {error}"] += 1
        finally:
            self._connection.close()

    def _order(self) -> None:
        """Ask for a file and poll until it is final, a page at a time between two polls."""
        accepted = self._call(POST, "POST", "/readings/file", self._small_order())
        if accepted is None:
            return
        path = f"/readings/file?request_id={accepted['request_id']}"
        deadline = self._until + DRAIN_SECONDS
        while time.monotonic() < deadline:
            status = self._call(STATUS, "GET", path)
            if status is not None and status["status"] in FINAL:
                self._measured.ended[status["status"]] += 1
                return
            next(self._pages)
        self._measured.ended["not final"] += 1

    def _small_order(self) -> bytes:
        first = START + self._draw.randrange(self._hours * 12 - 1) * timedelta(minutes=5)
        end = first + timedelta(minutes=5)
        return json.dumps(
            {"start_date": format_instant(first), "end_date": format_instant(end)}
        ).encode()

    def _turning(self) -> Iterator[None]:
        """Page after page of all there is, from the start again after the last."""
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
        """The answer's JSON; None for what is counted as an error. Pauses before."""
        time.sleep(self._draw.uniform(0, 2 * self._pause))
        began = time.monotonic()
        try:
            self._connection.request(method, path, body, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._measured.errors[f"{kind}: {type(error).__name__}"] += 1
            return None
        if began < self._until:
            self._measured.seconds[kind].append(time.monotonic() - began)
        if answer.status != http.client.OK:
            self._measured.errors[f"{kind}: {answer.status}"] += 1
            return None
        return json.loads(content)
