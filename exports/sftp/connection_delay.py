"""Delays new connections of an address that opens more than 10 per second, by 0.3 s at most.

Each connection makes the server compute keys before the client has logged in. The delay does not limit the number of
connections. All addresses of an IPv6 network of 64 bits count as one address.
"""

from __future__ import annotations

import threading
import time

from headend.config.addresses import network_of

PER_SECOND = 10
"""New connections of one address in a second that are not delayed. ssh-audit calls less than 20 safe."""
BURST = 5
"""How many more are not delayed, if the address has opened none recently."""
MAX_DELAY = 0.3
"""Seconds that a connection is delayed at most, so that another client with the same address is served soon."""


class ConnectionDelay:
    """Calculates how long a new connection waits before it is served. Safe to use in several threads."""

    def __init__(self) -> None:
        self._next_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def seconds(self, address: str) -> float:
        """Count one more connection of the address, and return the seconds to wait before it is served."""
        network, now = network_of(address), time.monotonic()
        with self._lock:
            self._next_at = {other: at for other, at in self._next_at.items() if at > now}
            # The time that the network has used up, a tenth of a second for each connection.
            used_until = max(self._next_at.get(network, 0.0), now)
            delay = min(max(0.0, used_until - now - BURST / PER_SECOND), MAX_DELAY)
            self._next_at[network] = min(
                used_until + 1 / PER_SECOND, now + BURST / PER_SECOND + MAX_DELAY
            )
            return delay
