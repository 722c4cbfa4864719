"""The web server of a deployment: requests that never reach Django, slow callers, and its log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from headend.http.server.limits import Limits
from tests.deployment import ROOT
from tests.ports import unused_port

pytestmark = pytest.mark.starts_processes


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of the web server, with its log."""
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def port(home: Path) -> Iterator[int]:
    """The port of a running web server, without the other processes of a deployment."""
    web_port = unused_port()
    (home / "static").mkdir()
    log = (home / "log").open("wb")
    server = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("gunicorn")),
            "headend.wsgi",
            "--config",
            "headend/http/gunicorn_config.py",
        ],
        cwd=ROOT,
        env=os.environ
        | {"HEADEND_HOME": str(home), "HEADEND_PORT": str(web_port), "WEB_WORKERS": "1"},
        stdout=log,
        stderr=log,
    )
    _wait_for(web_port, server)
    yield web_port
    server.terminate()
    assert server.wait(60) == 0
    log.close()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while True:
        assert server.poll() is None
        assert time.monotonic() < deadline
        try:
            requests.get(f"http://127.0.0.1:{port}/health/live", timeout=30)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return


def response_to(port: int, request: bytes) -> tuple[int, dict[str, str]]:
    """Send bytes to the server and return the status and the JSON of its response."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/json" in head, received
    content: dict[str, str] = json.loads(body)
    return int(head.split()[1]), content


@pytest.mark.parametrize("length", [9_000, 1_000_000])
def test_a_url_that_is_too_long_is_a_414(port: int, length: int) -> None:
    response = requests.get(
        f"http://127.0.0.1:{port}/readings?start_date={'x' * length}", timeout=30
    )
    assert response.status_code == 414
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"error": "The URL is longer than 8190 bytes."}


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: strange\r\n\r\n", 400),
        (b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: cookies\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: localhost:99999\r\nConnection: close\r\n\r\n", 400),
        (b"GET /login/?%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
    ],
)
def test_an_invalid_http_request_is_an_error_in_json(
    port: int, request_bytes: bytes, status: int
) -> None:
    received, body = response_to(port, request_bytes)
    assert received == status
    assert list(body) == ["error"]
    assert body["error"].endswith(".")


@pytest.mark.parametrize("value", ["text/plain; a*=bogus''%41", "text/plain; charset=punycode"])
def test_a_header_that_django_cannot_parse_is_ignored(port: int, value: str) -> None:
    for header in ("Content-Type", "Accept"):
        for path, status in (("/health/live", 200), ("/readings", 401), ("/nothing", 404)):
            url = f"http://127.0.0.1:{port}{path}?q=%ff"
            response = requests.get(url, headers={header: value}, timeout=30)
            assert response.status_code == status, (header, path)


def test_the_server_still_works_after_invalid_requests(port: int) -> None:
    for _ in range(20):
        response_to(port, b"nonsense\r\n\r\n")
    response = requests.get(f"http://127.0.0.1:{port}/health/live", timeout=30)
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


def test_slow_callers_of_the_deployment_do_not_delay_others(port: int) -> None:
    with ExitStack() as stack:
        for beginning in [b"", b"GET /health/live HTTP/1.1\r\nHost:"] * 100 + [
            b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"
        ] * 16:
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            slow.sendall(beginning)
        started = time.monotonic()
        response = requests.get(f"http://127.0.0.1:{port}/health/live", timeout=30)
        assert response.status_code == 200
        # Otherwise it would be the deadline of their headers that lets others in.
        assert time.monotonic() - started < Limits.header_seconds


def test_the_lines_of_gunicorn_are_json(port: int, home: Path) -> None:
    worker = next(
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if is_worker_of(entry, f"HEADEND_PORT={port}")
    )
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while "SIGKILL" not in (home / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lines = [json.loads(line) for line in (home / "log").read_text().splitlines()]
    assert [line["level"] for line in lines if line["logger"] == "gunicorn.error"]


def is_worker_of(entry: Path, setting: str) -> bool:
    """Return whether this process belongs to the web server, and is not its first process."""
    try:
        environment = (entry / "environ").read_bytes().split(b"\0")
        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        parent_environment = Path(f"/proc/{parent}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return setting.encode() in environment and setting.encode() in parent_environment
