"""The health check of the container image: check that the server of this container answers.

A worker, a delivery worker and beat have no server. If they end, their container ends. So they are healthy while the
container runs. The check uses the standard library only, because it starts every few seconds.
"""

from __future__ import annotations

import os
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

TIMEOUT_SECONDS = 3.0
FIRST_PROCESS = Path("/proc/1/cmdline")
"""The command line of the container's process."""


def main() -> None:
    """Exit with 0 if every server of this container answers, otherwise with one line."""
    command = FIRST_PROCESS.read_text(encoding="utf-8", errors="replace").split("\0")
    try:
        for check in checks(command):
            check()
    except (OSError, HTTPException) as error:
        sys.exit(f"unhealthy: {error}")


def checks(command: list[str]) -> Iterator[Callable[[], None]]:
    """Yield the checks for a container whose first process has this command line."""
    runs_all = command[-2:-1] == ["run"]
    # `headend process web` checks the services before it becomes the web server.
    starts = command[-2] if command[-3:-2] == ["process"] else None
    if runs_all or starts == "web" or any(word.endswith("gunicorn") for word in command):
        yield check_web
    if runs_all or starts == "sftp" or "sftpserver" in command:
        yield check_sftp


def check_web() -> None:
    """Raise ``OSError`` or ``HTTPException`` if no web process answers."""
    port = os.environ.get("HEADEND_PORT") or "8000"
    with urllib.request.urlopen(f"http://localhost:{port}/health/live", timeout=TIMEOUT_SECONDS):
        pass


def check_sftp() -> None:
    """Raise ``OSError`` if the SFTP server does not send its greeting."""
    port = int(os.environ.get("SFTP_PORT") or 2222)
    with socket.create_connection(("localhost", port), timeout=TIMEOUT_SECONDS) as connection:
        greeting = connection.recv(4)
    if greeting != b"SSH-":
        raise OSError(f"port {port} does not speak SSH")


if __name__ == "__main__":
    main()
