"""The SFTP server. Each connection has two threads, its own and one of paramiko, and each session has one more."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence

import paramiko

from exports.sftp import revocation
from exports.sftp.acceptor import Acceptor
from exports.sftp.authentication import ConnectionAuth
from exports.sftp.connection_delay import ConnectionDelay
from exports.sftp.connections import Connection, Connections
from exports.sftp.legacy_algorithms import LegacyTransport
from exports.sftp.protocol import LimitedSFTPServer
from exports.sftp.quotas import Quotas
from exports.sftp.session import Session
from exports.sftp.session_log import SessionLog
from exports.sftp.transport import ServerTransport
from headend import trace
from headend.config.addresses import bound_socket
from headend.config.database_errors import first_line, is_database_outage
from headend.config.limited_log import LimitedLog
from headend.config.listening_sockets import HANDSHAKE_SECONDS, refuse_new_connections
from headend.config.sftp_limits import SftpLimits

log = logging.getLogger("exports.sftp")
limited_log = LimitedLog(log)
slow_end_log = LimitedLog(log)
"""It has a separate limit, so that other lines never suppress this one."""

LOGIN_TIMEOUT = 30
"""Seconds until a connection that has not logged in is closed."""
IDLE_TIMEOUT = 30 * 60
"""Seconds until a connection without requests is closed: the limit of AWS Transfer Family."""
DRAIN_IDLE_SECONDS = 5
"""While the server drains, a connection is closed this long after its last request."""
SHUTDOWN_TIMEOUT = 3
"""The last part of the drain time, in seconds: connections are closed, and their downloads are recorded."""
SLOW_END_SECONDS = 5
"""If the threads of a closed connection still run after this time, the server logs a warning."""
REVOCATION_SECONDS = 2
"""How often the server checks whether suppliers and keys of open connections are still allowed to log in."""
_POLL_SECONDS = 0.5
_BACKLOG = 512


class Listener:
    """Serves SFTP on one address until it is stopped. No client can end it: it refuses clients beyond its limits."""

    def __init__(
        self,
        host: str,
        port: int,
        host_keys: list[paramiko.PKey],
        *,
        next_host_keys: Sequence[paramiko.PKey] = (),
        limits: SftpLimits | None = None,
        legacy_algorithms: bool = False,
        drain_seconds: float = 0,
    ) -> None:
        """Bind the address; port 0 selects a free port. Raises ``OSError`` if the address is in use.

        ``next_host_keys`` are announced to clients, see :mod:`exports.sftp.host_key_announcement`.
        ``legacy_algorithms`` accepts old clients, see :mod:`exports.sftp.legacy_algorithms`. ``drain_seconds`` is the
        time that open connections have after :meth:`stop`.
        """
        limits = limits or SftpLimits()
        self._host_keys = host_keys
        self._announced_keys = [*host_keys, *next_host_keys] if next_host_keys else []
        self._transport_class = LegacyTransport if legacy_algorithms else ServerTransport
        self._drain_seconds = drain_seconds
        self._stopped = threading.Event()
        self._closing = threading.Event()
        self._connections = Connections(limits)
        self._quotas = Quotas(limits)
        self._delay = ConnectionDelay()
        self._socket = bound_socket(host, port)
        self._socket.listen(_BACKLOG)
        self._socket.settimeout(_POLL_SECONDS)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._socket.getsockname()[1])

    def serve(self) -> None:
        """Accept connections until :meth:`stop`, let the open ones finish their work, and close them."""
        revocations = threading.Thread(target=self._cut_revoked_connections, daemon=True)
        revocations.start()
        with Acceptor(self._socket, self._connections.make_room) as acceptor:
            while not self._stopped.is_set():
                self._accept(acceptor)
            if self._drain_seconds:
                self._accept_established(acceptor)
        self._drain()
        self._closing.set()
        revocations.join(SHUTDOWN_TIMEOUT)
        self._connections.wait_until_closed(SHUTDOWN_TIMEOUT)

    def stop(self) -> None:
        """End :meth:`serve` when the drain time is over, or at once at the second call. Safe in a signal handler."""
        if self._stopped.is_set():
            self._closing.set()
        self._stopped.set()

    def _accept(self, acceptor: Acceptor) -> None:
        """Wait for the next connection, and start its thread."""
        accepted = acceptor.accept()
        if accepted is not None:
            self._start_connection(*accepted)
            trace.end()  # further lines of this thread are about other connections

    def _accept_established(self, acceptor: Acceptor) -> None:
        """Accept the connections that the system has established. It establishes no more."""
        refuse_new_connections(self._socket)
        self._socket.settimeout(HANDSHAKE_SECONDS)
        end = time.monotonic() + HANDSHAKE_SECONDS
        while time.monotonic() < end:
            self._accept(acceptor)

    def _drain(self) -> None:
        """Wait until clients have closed all connections, or the drain time is over."""
        end = time.monotonic() + self._drain_seconds - SHUTDOWN_TIMEOUT
        while time.monotonic() < end and not self._closing.is_set():
            if self._connections.wait_until_closed(_POLL_SECONDS):
                return

    def _start_connection(self, sock: socket.socket, address: str) -> None:
        connection = Connection(sock, ConnectionAuth(address, trace.begin(), self._quotas))
        if not self._connections.admit(connection):
            _refuse(connection)
            return
        try:
            threading.Thread(
                target=self._serve_connection,
                args=(connection, self._delay.seconds(connection.auth.address)),
                daemon=True,
            ).start()
        except RuntimeError as error:
            # The system lets the process start no more threads.
            limited_log.warning("a connection cannot be served", peer=address, error=str(error))
            self._connections.remove(connection)
            sock.close()

    def _serve_connection(self, connection: Connection, delay: float) -> None:
        sock, auth = connection.socket, connection.auth
        trace.begin(auth.trace_id)
        if not self._connections.wait_for_room(connection):
            _refuse(connection)
            return
        transport = None
        try:
            if connection.wait(delay) and not self._closing.is_set():
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                with self._transport_class(sock, auth) as transport:
                    self._run_transport(transport, connection)
        except (paramiko.SSHException, OSError, EOFError, RuntimeError) as error:
            # RuntimeError: the system lets the process start no more threads.
            limited_log.warning("a connection ended", peer=auth.address, error=str(error))
        finally:
            sock.close()
            if transport is not None:
                _wait_for_threads(transport, auth)
            auth.connection_ended()
            self._connections.remove(connection)

    def _run_transport(self, transport: ServerTransport, connection: Connection) -> None:
        auth = connection.auth
        for key in self._host_keys:
            transport.add_server_key(key)
        transport.announced_keys = list(self._announced_keys)
        transport.local_version = "SSH-2.0-headend"
        transport.set_subsystem_handler("sftp", LimitedSFTPServer, sftp_si=Session)
        transport.start_server(server=auth, event=threading.Event())
        with SessionLog(auth) as session_log:
            while not (connection.is_cut or self._closing.is_set()) and transport.is_active():
                transport.join(_POLL_SECONDS)
                session_log.update()
                if is_timed_out(auth) or transport.is_rekeying_too_long():
                    return
                if self._stopped.is_set() and has_no_work(auth):
                    return

    def _cut_revoked_connections(self) -> None:
        while not self._closing.wait(REVOCATION_SECONDS):
            try:
                for connection in revocation.revoked(self._connections.logged_in()):
                    log.info("access revoked", extra=connection.auth.log_fields())
                    connection.cut()
            except Exception as error:
                # Without the database, no access can be revoked, so the connections stay open.
                if is_database_outage(error):
                    limited_log.warning("the database cannot be used", error=first_line(error))
                else:
                    log.exception("access cannot be checked")


def _refuse(connection: Connection) -> None:
    limited_log.warning("too many connections", peer=connection.auth.address)
    connection.socket.close()


def _wait_for_threads(transport: ServerTransport, auth: ConnectionAuth) -> None:
    """Wait until the other threads of a closed connection have ended. The connection counts until then.

    A session's thread records its downloads before it ends. A thread that uses the database or the export store ends
    when the call there ends: their timeouts limit that, except for a disk or a file system that hangs.
    """
    end = time.monotonic() + SLOW_END_SECONDS
    if transport.wait_until_ended(SLOW_END_SECONDS) and auth.sessions.connection_closed(
        max(0.0, end - time.monotonic())
    ):
        return
    slow_end_log.warning("threads of a closed connection still run", peer=auth.address)
    transport.wait_until_ended(None)
    auth.sessions.connection_closed(None)


def has_no_work(auth: ConnectionAuth) -> bool:
    """Return whether a connection can be closed while the server drains: its client has sent no request recently."""
    return time.monotonic() - auth.last_active > DRAIN_IDLE_SECONDS


def is_timed_out(auth: ConnectionAuth) -> bool:
    """Return whether a client has not logged in, or has sent no request, for too long."""
    now = time.monotonic()
    if auth.is_logged_in:
        return now - auth.last_active > IDLE_TIMEOUT
    return now - auth.opened_at > LOGIN_TIMEOUT
