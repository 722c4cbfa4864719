"""A listening socket is closed without the loss of a connection."""

from __future__ import annotations

import socket
import sys

import pytest

from headend.config.listening_sockets import refuse_new_connections


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this filter")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_established_connections_can_be_accepted_and_new_ones_are_not_established(
    address: str,
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listening:
        early = socket.create_connection(listening.getsockname()[:2])
        early.sendall(b"early")
        refuse_new_connections(listening)
        with pytest.raises(TimeoutError):
            socket.create_connection(listening.getsockname()[:2], timeout=0.1)
        accepted, _ = listening.accept()
        with early, accepted:
            assert accepted.recv(5) == b"early"
            accepted.sendall(b"answer")
            assert early.recv(6) == b"answer"
