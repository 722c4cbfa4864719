"""Tell the user when the servers of the deployment answer."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
from dataclasses import dataclass

READY_TIMEOUT_SECONDS = 120.0
_READY_POLL_SECONDS = 0.2
_CONNECT_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Announcement:
    """A text to print when the web server and the SFTP server answer at their ports."""

    text: str
    host: str
    http_port: int
    sftp_port: int


def announce(announcement: Announcement, supervisor: int) -> None:
    """Print the text when both servers answer, or an error after :data:`READY_TIMEOUT_SECONDS`.

    Print nothing if the process ``supervisor`` is no longer the parent, because it was killed.
    """
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_READY_POLL_SECONDS)
        if os.getppid() != supervisor:
            return
        if _web_answers(announcement) and _sftp_answers(announcement):
            sys.stdout.write(f"{announcement.text}\n")
            sys.stdout.flush()
            return
    sys.stderr.write(
        f"The web server or the SFTP server does not answer after {READY_TIMEOUT_SECONDS:g} s;"
        " the lines above may show why.\n"
    )


def _web_answers(announcement: Announcement) -> bool:
    connection = http.client.HTTPConnection(
        announcement.host, announcement.http_port, timeout=_CONNECT_TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _sftp_answers(announcement: Announcement) -> bool:
    address = (announcement.host, announcement.sftp_port)
    try:
        with socket.create_connection(address, timeout=_CONNECT_TIMEOUT_SECONDS) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
