"""The limits of the web server: its processes, threads and connections."""

from __future__ import annotations

from dataclasses import dataclass

from headend.config import environment as env


@dataclass(frozen=True)
class WebLimits:
    """The numbers of processes and of threads of each, and the connections of a process in total and of one address."""

    workers: int
    threads: int
    connections: int
    connections_per_address: int


def from_environment() -> WebLimits:
    """Read the limits from the environment. Raises ``ImproperlyConfigured`` if one is wrong."""
    return WebLimits(
        workers=env.integer("WEB_WORKERS", 2, minimum=1, maximum=64),
        threads=env.integer("WEB_THREADS", 4, minimum=1, maximum=64),
        connections=env.integer("WEB_CONNECTIONS", 1000, minimum=10, maximum=100_000),
        connections_per_address=env.integer(
            "WEB_CONNECTIONS_PER_ADDRESS", 250, minimum=1, maximum=100_000
        ),
    )
