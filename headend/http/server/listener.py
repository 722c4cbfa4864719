"""Accept connections, divide them fairly between addresses, and close those that are overdue."""

from __future__ import annotations

import logging
import math
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from wsgiref.types import WSGIApplication

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from headend.config.addresses import network_of
from headend.config.limited_log import LimitedLog
from headend.config.listening_sockets import refuse_new_connections
from headend.config.open_files import SpareFile
from headend.http.server.connection import Connection
from headend.http.server.limits import Limits
from headend.http.server.open_connections import ConnectionCount
from headend.http.server.request_parser import MAX_HEADER_BYTES
from headend.http.server.threads import FairThreads

log = logging.getLogger(__name__)

ACCEPTED_AT_ONCE = 32
MEMORY_BYTES = 1024 * 1024
"""The part of a body or response that stays in memory; the rest is in a temporary file."""
PAUSE_SECONDS = 0.1
"""The pause in accepting connections if none can be accepted or refused."""
YIELD_SECONDS = 0.005
"""How long a process waits before it accepts, if another one has fewer connections."""


class Listener(TcpWSGIServer):  # type: ignore[misc] # waitress ships no types
    """Accepts connections for waitress, on a socket that listens already."""

    channel_class = Connection

    def __init__(
        self,
        application: WSGIApplication,
        listening: socket.socket,
        threads: FairThreads,
        limits: Limits,
        sockets: dict[int, Any],
        *,
        count: ConnectionCount | None = None,
        caller_address: Callable[[str, str], str | None] = lambda peer, _: peer,
    ) -> None:
        """Begin to accept connections.

        With ``count``, a process that has more connections than another waits :data:`YIELD_SECONDS` before it accepts.

        ``sockets`` collects everything that the main thread has to watch. ``caller_address`` takes the address of a
        connection and its ``X-Forwarded-For`` header, and returns the address of the caller. It returns None if a
        trusted proxy does not report the caller. Then no limit per address applies.
        """
        self.limits = limits
        self.caller_address = caller_address
        self.idle_seconds = limits.idle_seconds
        """The time until a connection without a request is closed."""
        self.is_draining = False
        """Whether the process ends: each connection is closed after its response."""
        self._spare_file = SpareFile()
        self._count = count
        self._has_waiting = False
        self._was_polled = False
        """Whether the last poll included the listening socket."""
        self._has_yielded = False
        """Whether this process has waited, so that another one could accept the present connections."""
        self._paused_until = 0.0
        self._log = LimitedLog(log)
        super().__init__(
            application,
            sockets,
            _sock=listening,
            dispatcher=threads,
            adj=_adjustments(limits),
            bind_socket=False,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        )

    def readable(self) -> bool:
        """Return whether to accept connections."""
        self._was_polled = self.accepting and time.monotonic() >= self._paused_until
        return self._was_polled

    def limit_wait(self, seconds: float) -> float:
        """Return how long the next poll may wait: ``seconds``, or less if this process has paused its accepting."""
        paused = self._paused_until - time.monotonic()
        if paused > 0:
            # The poll ignores parts of a millisecond.
            return min(seconds, math.ceil(paused * 1000) / 1000)
        # The poll after a pause does not wait: a connection that arrives later is a new one.
        return 0.0 if self._has_yielded and self.accepting else seconds

    def handle_accept(self) -> None:
        """Note that connections wait.

        They are accepted after all other events. Otherwise the system could give a new connection the file descriptor
        of a connection that was closed just before. The new one would then get the old one's events, and be closed too.
        """
        self._has_waiting = True

    def accept_noted(self) -> None:
        """Accept connections if some wait, see :meth:`handle_accept`."""
        if self._has_waiting:
            self._has_waiting = False
            self._accept_or_yield()
        elif self._was_polled:
            # No connection waits any more.
            self._has_yielded = False
        self._report()

    def _report(self) -> None:
        """Tell the other processes how many connections this one has."""
        if self._count is None:
            return
        if self.is_draining or not (self._was_polled or self._has_yielded):
            # It accepts no connections: it ends, or it has no free file for one.
            self._count.clear()
        else:
            self._count.report(len(self.active_channels))

    def _accept_or_yield(self) -> None:
        """Accept connections, or wait :data:`YIELD_SECONDS` first if another process has fewer."""
        number = ACCEPTED_AT_ONCE
        if self._count is not None and not (self._has_yielded or self.is_draining):
            number = min(number, self._count.connections_to_accept(len(self.active_channels)))
        self._has_yielded = not number
        if number:
            self._accept_waiting(number)
        else:
            self._paused_until = time.monotonic() + YIELD_SECONDS

    def _accept_waiting(self, number: int = ACCEPTED_AT_ONCE) -> bool:
        """Accept up to ``number`` connections. Return whether more may wait.

        An error of one connection does not end the server.
        """
        for _ in range(number):
            try:
                accepted, address = self.socket.accept()
            except BlockingIOError:
                return False
            except ConnectionError:
                continue
            except OSError as error:
                self._refuse_one(error)
                return False
            self._admit(accepted, address)
        return True

    def _admit(self, accepted: socket.socket, address: tuple[Any, ...]) -> None:
        try:
            if self._make_room(address[0]):
                self.set_socket_options(accepted)
                Connection(self, accepted, address, self.adj, map=self._map)
                return
            self._log.warning("a connection was refused: too many are open", peer=address[0])
        except OSError as error:
            log.debug("a connection was lost", extra={"error": str(error)})
        accepted.close()

    def _make_room(self, address: str) -> bool:
        """Return whether to accept a connection. If there are too many, first close one that waits for its caller."""
        connections = list(self.active_channels.values())
        network = network_of(address)
        same = [each for each in connections if each.network == network]
        is_proxy = self.caller_address(address, "") is None
        if len(same) >= self.limits.connections_per_address and not is_proxy:
            return self._replace_one(same, network)
        if len(connections) >= self.limits.possible_connections:
            return self._replace_one(connections, network)
        return True

    def _replace_one(self, connections: Sequence[Connection], network: str) -> bool:
        """Close a connection that waits for its caller, to make room for a new one from ``network``.

        It is the connection that has waited longest, of the network with the most connections. Return False if no
        connection waits, or if that network has fewer connections than ``network`` would have.
        """
        held = Counter([*(each.counted_network for each in connections), network])
        waiting = [each for each in connections if each.is_idle or each.total_outbufs_len]
        chosen = min(
            waiting,
            key=lambda each: (-held[each.counted_network], not each.is_idle, each.waiting_since),
            default=None,
        )
        if chosen is None or held[chosen.counted_network] < held[network]:
            return False
        chosen.handle_close()
        self._log.warning("a connection was closed for a newer one", peer=chosen.addr[0])
        return True

    def _refuse_one(self, error: OSError) -> None:
        """Refuse a connection, because the process has no free file for it. If this fails, pause."""
        self._log.warning("connections are refused", error=str(error))
        if not self._spare_file.refuse_connection(self.socket):
            self._paused_until = time.monotonic() + PAUSE_SECONDS

    def close_overdue(self) -> None:
        """Close the connections that are overdue, and more if unread responses need too much space."""
        now = time.monotonic()
        for connection in list(self.active_channels.values()):
            if connection.is_overdue(now):
                log.debug("a connection was overdue", extra={"peer": connection.addr[0]})
                connection.handle_close()
        reading = [each for each in self.active_channels.values() if each.total_outbufs_len]
        while sum(each.total_outbufs_len for each in reading) > self.limits.unsent_bytes:
            self._close_largest(reading)

    def _close_largest(self, reading: list[Connection]) -> None:
        """Close the largest unread response of the network with most unread bytes, and remove it from the list."""
        unsent: Counter[str] = Counter()
        for connection in reading:
            unsent[connection.counted_network] += connection.total_outbufs_len
        largest = max(
            reading, key=lambda each: (unsent[each.counted_network], each.total_outbufs_len)
        )
        reading.remove(largest)
        largest.handle_close()
        self._log.warning(
            "a slow connection was closed: unread responses need too much space",
            peer=largest.addr[0],
        )

    def handle_error(self) -> None:
        """Log an error and continue."""
        self._log.warning("an error while connections were accepted", error=repr(sys.exception()))

    def begin_drain(self, idle_seconds: float) -> None:
        """Close each connection after its next response, or ``idle_seconds`` after its last one.

        The system establishes no more connections. Those that are established are still accepted.
        """
        self.is_draining = True
        self.idle_seconds = idle_seconds
        self._report()
        refuse_new_connections(self.socket)

    def stop_accepting(self) -> None:
        """Accept the connections that the system has established, and close the listening socket."""
        while self._accept_waiting():
            pass
        self.accepting = False
        self.del_channel()
        self.socket.close()

    def close(self) -> None:
        """Close the listening socket."""
        super().close()
        self._spare_file.close()

    @property
    def is_busy(self) -> bool:
        """Whether a response is not complete."""
        return any(not each.is_idle for each in self.active_channels.values())

    def close_connections(self) -> None:
        """Close all connections. The threads end the responses that callers have not read."""
        for connection in list(self.active_channels.values()):
            connection.handle_close()


def _adjustments(limits: Limits) -> Any:
    return Adjustments(
        ident=None,
        recv_bytes=64 * 1024,
        inbuf_overflow=64 * 1024,
        outbuf_overflow=MEMORY_BYTES,
        # A thread never waits for a caller; the listener limits what is unsent.
        outbuf_high_watermark=sys.maxsize,
        max_request_header_size=MAX_HEADER_BYTES,
        max_request_body_size=limits.body_bytes + 1,
        log_socket_errors=False,
        # Django decides which headers of proxies it trusts.
        clear_untrusted_proxy_headers=False,
    )
