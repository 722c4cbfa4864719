"""Ranges of an object are read with a deadline, whatever the server does."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from botocore.response import StreamingBody

from exports.stores import object_reader
from exports.stores.object_reader import range_reader

MUCH_LONGER = 30.0


def drip(listener: socket.socket) -> None:
    """Answer each connection with one byte every 20 ms, far fewer than announced, until it is closed."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4000000\r\n\r\n")
            while True:
                time.sleep(0.02)
                connection.sendall(b"x")

    with suppress(OSError):
        while True:
            threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()


@pytest.mark.starts_processes
def test_a_store_that_drips_is_an_error_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_reader, "READ_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def get_object(**_: Any) -> dict[str, Any]:
            answer = urllib3.PoolManager().request("GET", url, preload_content=False, retries=False)
            return {"Body": StreamingBody(answer, "4000000")}

        read_range = range_reader(SimpleNamespace(get_object=get_object), "bucket", "key")
        started = time.monotonic()
        with pytest.raises(OSError, match=r"did not arrive within 0\.4 s"):
            read_range(0, 4_000_000)
        assert time.monotonic() - started < MUCH_LONGER
