"""Ports for the servers that tests start."""

from __future__ import annotations

import os
import random
import socket
import zlib

# The kernel takes ports from 32768 on for outgoing connections. Such a port could be given to the client that tries
# to reach a stopped server.
_FIRST, _SLOTS, _PORTS_PER_SLOT = 15_000, 18, 900
_draw = random.SystemRandom()
_used: set[int] = set()


def unused_port() -> int:
    """Return a free port that stays free until a server listens on it, and while this server is stopped.

    No two tests get the same port: no port is returned twice, and each process of pytest-xdist has a slot of ports.
    """
    while True:
        port = _FIRST + _slot() * _PORTS_PER_SLOT + _draw.randrange(_PORTS_PER_SLOT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _used:
            _used.add(port)
            return port


def _slot() -> int:
    """Return the slot of this process: the next one for each process of a run.

    Tests on servers have the odd slots, so that both kinds can run at the same time.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    on_servers = os.environ.get("TESTS_ON") == "servers"
    return (2 * (zlib.crc32(run.encode()) + process) + on_servers) % _SLOTS
