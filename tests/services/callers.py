"""Callers who use a deployment all the time, and record each call that fails."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.services.cluster import HTTP_TIMEOUT_SECONDS, Cluster
from tests.services.file_requests import FINAL, START, RequestBody

PAUSE_SECONDS = 0.05
"""The pause of each caller between two calls. The load must leave time for the processes to restart."""


@dataclass
class Callers:
    """One thread for each kind of call, from ``__enter__`` to ``__exit__``. No call is repeated."""

    cluster: Cluster
    certificate: Path
    bodies: list[RequestBody]
    """Those of the file requests, which are created one after the other."""
    failures: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    files: dict[str, str] = field(default_factory=dict)
    """The id of each completed file request, and the checksum of the file that was downloaded."""
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Callers:
        kinds = (self._read_pages, self._open_portal, self._request_files, self._request_files)
        self._threads = [threading.Thread(target=self._repeat, args=(kind,)) for kind in kinds]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, calls: int) -> None:
        """Wait until each kind of call was made ``calls`` more times, or a call failed."""
        goals = {name: self.calls[name] + calls for name in ("page", "portal", "status")}
        while not self.failures and any(self.calls[name] < goal for name, goal in goals.items()):
            time.sleep(PAUSE_SECONDS)

    def _repeat(self, make_calls: Callable[[requests.Session], None]) -> None:
        with requests.Session() as session:
            while not (self._stopped.is_set() or self.failures):
                try:
                    make_calls(session)
                except (requests.RequestException, AssertionError) as error:
                    self.failures.append(f"{make_calls.__name__}: {error!r}")

    def _call(
        self, session: requests.Session, kind: str, method: str, path: str, **request: Any
    ) -> requests.Response:
        time.sleep(PAUSE_SECONDS)
        url = (
            path
            if path.startswith("https:")
            else self.cluster.outputs["apiGatewayInvokeURL"] + path
        )
        headers = {"Authorization": f"Token {self.cluster.outputs['ApiKey']}"}
        response = session.request(
            method,
            url,
            headers=headers,
            timeout=HTTP_TIMEOUT_SECONDS,
            verify=str(self.certificate),
            **request,
        )
        assert response.status_code == 200, (
            f"{method} {path}: {response.status_code} {response.text[:200]}"
        )
        self.calls[kind] += 1
        return response

    def _read_pages(self, session: requests.Session) -> None:
        page = {"start_date": f"{START:%Y-%m-%d}", "page_size": 1000}
        body = self._call(session, "page", "GET", "/readings", params=page).json()
        assert body["results"]["records_total"] == 1000

    def _open_portal(self, session: requests.Session) -> None:
        assert "</html>" in self._call(session, "portal", "GET", "/login/").text

    def _request_files(self, session: requests.Session) -> None:
        body = self.bodies[self.calls["request"] % len(self.bodies)]
        request_id = self._call(session, "request", "POST", "/readings/file", json=body).json()[
            "request_id"
        ]
        status: dict[str, Any] = {"status": ""}
        while status["status"] not in FINAL:
            status = self._call(
                session, "status", "GET", "/readings/file", params={"request_id": request_id}
            ).json()
        assert status["status"] == "completed", status
        file = self._call(session, "download", "GET", status["download_url"]).content
        assert hashlib.sha256(file).hexdigest() == status["sha256"]
        self.files[request_id] = status["sha256"]
