"""The SFTP server's listening socket. Each connection has its own thread."""

from __future__ import annotations

import logging
import socket
import threading
import time

import paramiko

from exports.sftp.authentication import ConnectionAuth
from exports.sftp.legacy_algorithms import LegacyTransport
from exports.sftp.protocol import LimitedSFTPServer
from exports.sftp.session import Session
from exports.sftp.session_log import SessionLog
from exports.ssh_transport import StrongTransport
from headend import trace
from headend.config.addresses import bound_socket, without_ipv4_mapping

log = logging.getLogger("exports.sftp")

MAX_CONNECTIONS = 200
LOGIN_TIMEOUT = 30
"""Seconds until a connection that has not logged in is closed."""
IDLE_TIMEOUT = 30 * 60
"""Seconds until a connection without requests is closed: the limit of AWS Transfer Family."""
SHUTDOWN_TIMEOUT = 3
"""Seconds that :meth:`Listener.serve` waits for open connections after :meth:`Listener.stop`."""
_POLL_SECONDS = 0.5


class Listener:
    """Serves SFTP on one address until it is stopped."""

    def __init__(
        self,
        host: str,
        port: int,
        host_keys: list[paramiko.PKey],
        *,
        legacy_algorithms: bool = False,
    ) -> None:
        """Bind the address; port 0 selects a free port. Raises ``OSError`` if the address is in use.

        ``legacy_algorithms`` accepts old clients, see :mod:`exports.sftp.legacy_algorithms`.
        """
        self._host_keys = host_keys
        self._transport_class = LegacyTransport if legacy_algorithms else StrongTransport
        self._stopped = threading.Event()
        self._free_slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._socket = bound_socket(host, port)
        self._socket.listen(64)
        self._socket.settimeout(_POLL_SECONDS)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._socket.getsockname()[1])

    def serve(self) -> None:
        """Accept connections until :meth:`stop`, then close the open ones."""
        with self._socket:
            while not self._stopped.is_set():
                try:
                    connection, (peer, *_) = self._socket.accept()
                except TimeoutError:
                    continue
                address = without_ipv4_mapping(peer)
                if not self._free_slots.acquire(blocking=False):
                    log.warning("too many connections", extra={"peer": address})
                    connection.close()
                    continue
                threading.Thread(
                    target=self._serve_connection, args=(connection, address), daemon=True
                ).start()
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT
        for _ in range(MAX_CONNECTIONS):
            self._free_slots.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """End :meth:`serve`. Safe to call from a signal handler."""
        self._stopped.set()

    def _serve_connection(self, connection: socket.socket, address: str) -> None:
        auth = ConnectionAuth(address, trace.begin())
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._transport_class(connection) as transport:
                self._run_transport(transport, auth)
        except (paramiko.SSHException, OSError, EOFError) as error:
            log.info("connection ended", extra={"peer": address, "error": str(error)})
        finally:
            connection.close()
            # The sessions' threads record the downloads. They are daemon threads: without this
            # wait they would end with the process, before they have recorded anything.
            auth.wait_for_sessions(SHUTDOWN_TIMEOUT / 2)
            self._free_slots.release()

    def _run_transport(self, transport: paramiko.Transport, auth: ConnectionAuth) -> None:
        for key in self._host_keys:
            transport.add_server_key(key)
        transport.local_version = "SSH-2.0-headend"
        transport.set_subsystem_handler("sftp", LimitedSFTPServer, sftp_si=Session)
        transport.start_server(server=auth, event=threading.Event())
        with SessionLog(auth) as session_log:
            while transport.is_active() and not self._stopped.is_set():
                transport.join(_POLL_SECONDS)
                session_log.update()
                timeout = IDLE_TIMEOUT if transport.is_authenticated() else LOGIN_TIMEOUT
                if time.monotonic() - auth.last_active > timeout:
                    return
