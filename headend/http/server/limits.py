"""How much one caller may use of the web server."""

from __future__ import annotations

import resource
from dataclasses import dataclass

_FILES_FOR_OTHERS = 128
"""Open files of a process that are no connections: databases, logs, data files."""
_FILES_PER_CONNECTION = 2
"""A connection, and the temporary file of a large body or response."""


@dataclass(frozen=True)
class Limits:
    """Limits of each process. Times are in seconds, from the start of a phase to its end, however active a caller is."""

    connections: int = 1000
    connections_per_address: int = 250
    body_bytes: int = 2 * 2**20
    header_seconds: float = 10.0
    """From the connection, or the first byte of a later request, to the end of the header."""
    body_seconds: float = 60.0
    """From the first byte of a request to the end of its body."""
    idle_seconds: float = 5.0
    """From the end of a response to the first byte of the next request."""
    response_seconds: float = 30.0
    """From the first byte of a response to its last one, plus the time for its size at the slowest speed."""
    response_bytes_per_second: int = 16 * 1024
    """The slowest average speed of a caller."""
    unsent_bytes: int = 256 * 2**20
    """Of all responses that callers have not read yet."""
    linger_seconds: float = 2.0
    linger_bytes: int = 4 * 2**20
    """What is read and dropped after a refusal. Without this, the caller could lose the refusal."""

    @property
    def possible_connections(self) -> int:
        """The largest number of connections for which this process may open enough files."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files == resource.RLIM_INFINITY:
            return self.connections
        return max(1, min(self.connections, (files - _FILES_FOR_OTHERS) // _FILES_PER_CONNECTION))
