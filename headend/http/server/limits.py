"""The limits of the web server: connections, sizes and times."""

from __future__ import annotations

import resource
from dataclasses import dataclass

_FILES_FOR_OTHERS = 128
"""The number of open files that a process reserves for everything except connections: databases, logs, data files."""
_FILES_PER_CONNECTION = 2
"""A connection needs its socket, and a temporary file if its body or response is large."""


@dataclass(frozen=True)
class Limits:
    """The limits of each process. A time limit is in seconds. Sending or reading slowly does not extend it."""

    connections: int = 1000
    connections_per_address: int = 250
    body_bytes: int = 2 * 2**20
    header_seconds: float = 10.0
    """The header must end within this time.

    For the first request of a connection, the time starts at the connection. For later ones it starts at their first
    byte.
    """
    body_seconds: float = 60.0
    """The body must end within this time. The time starts when that of the header starts."""
    idle_seconds: float = 5.0
    """The next request must begin within this time after the end of a response."""
    response_seconds: float = 30.0
    """The caller must read a response within this time, plus the time for its size at the slowest allowed speed.

    The time counts only while the caller has something to read.
    """
    response_bytes_per_second: int = 16 * 1024
    """The slowest allowed speed of a caller that reads a response, on average."""
    unsent_bytes: int = 256 * 2**20
    """The largest total size of unread responses."""
    linger_seconds: float = 2.0
    linger_bytes: int = 4 * 2**20
    """After a refusal, the server reads and drops up to this many bytes, so that the caller gets the refusal."""

    @property
    def possible_connections(self) -> int:
        """The largest number of connections for which the process has enough open files."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files == resource.RLIM_INFINITY:
            return self.connections
        return max(1, min(self.connections, (files - _FILES_FOR_OTHERS) // _FILES_PER_CONNECTION))
