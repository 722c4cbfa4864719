"""``python -m benchmarks.page_client PORT KEY,... SECONDS PATH...``: a client for each key and path follows ``next``.

Prints the pages that all of them received, the seconds, and the 99th percentile of the milliseconds of a page. All
clients are in one thread, so that they use little of the processor that they share with the server.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from urllib.parse import urlsplit


class Client:
    """A connection that requests one page after the other."""

    def __init__(self, port: int, key: str, path: str) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._key = key
        self._first_path = path
        self.request(path)

    def request(self, path: str) -> None:
        """Request a page."""
        self._received = b""
        self._sent_at = time.perf_counter()
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {self._key}\r\n\r\n"
        self.connection.sendall(head.encode())

    def receive(self) -> float | None:
        """Read what has arrived. If the page is complete, return its seconds, and request the next one."""
        self._received += self.connection.recv(2**18)
        head, _, body = self._received.partition(b"\r\n\r\n")
        _, found, length = head.lower().partition(b"content-length: ")
        if not found or len(body) < int(length.partition(b"\r\n")[0]):
            return None
        seconds = time.perf_counter() - self._sent_at
        assert head.startswith(b"HTTP/1.1 200 "), self._received
        following = json.loads(body)["next"]
        # The bare view's page has the host of the other server.
        parts = urlsplit(following or self._first_path)
        self.request(f"{parts.path}?{parts.query}")
        return seconds


def main(port: int, keys: list[str], seconds: float, paths: list[str]) -> None:
    """Let one client for each key and its path follow its pages for some seconds, and print the result."""
    selector = selectors.DefaultSelector()
    started = time.perf_counter()
    for key, path in zip(keys, paths, strict=True):
        client = Client(port, key, path)
        selector.register(client.connection, selectors.EVENT_READ, client)
    durations: list[float] = []
    while time.perf_counter() < started + seconds:
        for event, _ in selector.select(60):
            if (duration := event.data.receive()) is not None:
                durations.append(duration)
    took = time.perf_counter() - started
    durations.sort()
    print(json.dumps([len(durations), took, durations[len(durations) * 99 // 100] * 1000]))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].split(","), float(sys.argv[3]), sys.argv[4:])
