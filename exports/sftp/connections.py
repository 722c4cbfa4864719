"""The open connections of an SFTP process: which new ones are accepted, and which older ones are closed for them."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import suppress

from exports.sftp.authentication import ConnectionAuth
from headend.config.sftp_limits import SftpLimits


class Connection:
    """One client's TCP connection, and who logged in over it."""

    def __init__(self, sock: socket.socket, auth: ConnectionAuth) -> None:
        self.socket = sock
        self.auth = auth

    def cut(self) -> None:
        """End the connection at once, in any thread: every read and write of the socket fails from now on."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Connections:
    """The open connections, the oldest first.

    A new connection is always accepted while connections without a login can be cut: the oldest of the address that
    has the most of them. So neither many silent connections nor connections of one address keep others out.
    """

    def __init__(self, limits: SftpLimits) -> None:
        self._limits = limits
        self._open: dict[Connection, None] = {}
        self._changed = threading.Condition()

    def admit(self, connection: Connection) -> bool:
        """Add a new connection, and cut older ones if a limit requires it. Return false if all slots are in use."""
        limits = self._limits
        with self._changed:
            same_address = self._count(connection.auth.address)
            if same_address >= limits.connections_per_address and not self._cut_oldest(
                connection.auth.address
            ):
                return False
            waiting = self._without_login()
            if waiting.total() >= limits.connections_without_login:
                self._cut_oldest(_most_frequent(waiting))
            if len(self._open) >= limits.connections:
                return False
            self._open[connection] = None
            return True

    def make_room(self) -> None:
        """Cut one connection without a login, if there is one: the oldest of the address that has the most."""
        with self._changed:
            waiting = self._without_login()
            if waiting:
                self._cut_oldest(_most_frequent(waiting))

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        with self._changed:
            self._open.pop(connection, None)
            self._changed.notify_all()

    def logged_in(self) -> list[Connection]:
        """Return the connections with a login."""
        with self._changed:
            return [connection for connection in self._open if connection.auth.is_logged_in]

    def wait_until_closed(self, seconds: float) -> None:
        """Wait until no connection is open, for ``seconds`` at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, seconds)

    def _without_login(self) -> Counter[str]:
        """Return the number of connections without a login, for each address."""
        return Counter(other.auth.address for other in self._open if not other.auth.is_logged_in)

    def _count(self, address: str) -> int:
        return sum(connection.auth.address == address for connection in self._open)

    def _cut_oldest(self, address: str) -> bool:
        """Cut the oldest connection of an address that has not logged in. Return false if there is none."""
        for connection in self._open:
            if connection.auth.address == address and not connection.auth.is_logged_in:
                del self._open[connection]
                connection.cut()
                return True
        return False


def _most_frequent(addresses: Counter[str]) -> str:
    return addresses.most_common(1)[0][0]
