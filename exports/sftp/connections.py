"""Decides which new connections an SFTP process accepts, and which older ones it closes for them."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Collection
from contextlib import suppress

from exports.sftp.authentication import ConnectionAuth
from headend.config.addresses import network_of
from headend.config.sftp_limits import SftpLimits

CUT_SECONDS = 1.0
"""A new connection waits this long at most until the connection that it replaces has ended: usually a millisecond."""


class Connection:
    """One client's TCP connection, and who logged in over it."""

    def __init__(self, sock: socket.socket, auth: ConnectionAuth) -> None:
        self.socket = sock
        self.auth = auth
        self.network = network_of(auth.address)
        """Limits of an address apply to all connections of this network."""
        self._cut = threading.Event()

    @property
    def is_cut(self) -> bool:
        """Whether the connection was cut. Its threads may still run."""
        return self._cut.is_set()

    def cut(self) -> None:
        """End the connection at once, in any thread: every read and write of the socket fails from now on."""
        self._cut.set()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> bool:
        """Wait before the client is served. Return false at once if the connection is cut."""
        return not self._cut.wait(seconds)


class Connections:
    """The open connections, the oldest first. Safe to use in several threads.

    A connection that was cut counts until its threads have ended, so no client can collect threads. A new connection
    is accepted while a connection without a login can be cut for it: the oldest of the network that has the most of
    them. So neither many silent connections nor connections of one network keep others out.

    The new connection waits in its own thread until the one that was cut for it has ended. Each one that waits has cut
    another one, so no more can wait than can be open.
    """

    def __init__(self, limits: SftpLimits) -> None:
        self._limits = limits
        self._open: dict[Connection, None] = {}
        self._waiting: set[Connection] = set()
        self._changed = threading.Condition()

    def admit(self, connection: Connection) -> bool:
        """Add a new connection. If a limit requires it, cut an older one. Never waits.

        Return false if there is none to cut. Otherwise the connection's thread must call :meth:`wait_for_room`.
        """
        network = connection.network
        with self._changed:
            # A new connection does not take the room that another one waits for.
            if not self._has_room(network, self._waiting):
                is_full = (
                    self._count(network, self._waiting) >= self._limits.connections_per_address
                )
                if not self._cut_oldest(network if is_full else self._largest_network()):
                    return False
            if self._has_room(network, self._waiting):
                self._open[connection] = None
            else:
                self._waiting.add(connection)
            return True

    def wait_for_room(self, connection: Connection) -> bool:
        """Wait until an admitted connection exceeds no limit.

        Return false if the connection that was cut for it does not end within :data:`CUT_SECONDS`.
        """
        with self._changed:
            if connection in self._open:
                return True
            has_room = self._changed.wait_for(
                lambda: self._has_room(connection.network), CUT_SECONDS
            )
            self._waiting.discard(connection)
            if has_room:
                self._open[connection] = None
            return has_room

    def make_room(self) -> None:
        """Cut one connection without a login, if there is one: the oldest of the network that has the most."""
        with self._changed:
            self._cut_oldest(self._largest_network())

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection, after its threads have ended."""
        with self._changed:
            self._open.pop(connection, None)
            self._waiting.discard(connection)
            self._changed.notify_all()

    def logged_in(self) -> list[Connection]:
        """Return the connections with a login that were not cut."""
        with self._changed:
            return [each for each in self._open if each.auth.is_logged_in and not each.is_cut]

    def wait_until_closed(self, seconds: float) -> bool:
        """Wait until the threads of all connections have ended, for ``seconds`` at most. Return whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._open or self._waiting), seconds)

    def _has_room(self, network: str, waiting: Collection[Connection] = ()) -> bool:
        """Return whether one more connection of a network exceeds no limit. ``waiting`` ones count as open."""
        without_login = sum(not each.auth.is_logged_in for each in self._open) + len(waiting)
        return (
            len(self._open) + len(waiting) < self._limits.connections
            and without_login < self._limits.connections_without_login
            and self._count(network, waiting) < self._limits.connections_per_address
        )

    def _count(self, network: str, waiting: Collection[Connection]) -> int:
        return sum(each.network == network for each in (*self._open, *waiting))

    def _can_be_cut(self) -> list[Connection]:
        """Return the connections without a login that were not cut yet, the oldest first."""
        return [each for each in self._open if not each.auth.is_logged_in and not each.is_cut]

    def _largest_network(self) -> str | None:
        """Return the network with the most connections that can be cut, or None if there are none."""
        networks = Counter(each.network for each in self._can_be_cut())
        return networks.most_common(1)[0][0] if networks else None

    def _cut_oldest(self, network: str | None) -> bool:
        """Cut the oldest connection of a network that can be cut. Return false if there is none."""
        for connection in self._can_be_cut():
            if connection.network == network:
                connection.cut()
                return True
        return False
