"""The listening socket, and a thread for each connection that comes in on it."""

from __future__ import annotations

import logging
import socket
import threading
import time

import paramiko

from exports.sftp.authentication import Doorkeeper
from exports.sftp.session import BoundedSFTPServer, Session
from exports.sftp.session_log import Attendance
from headend import trace

log = logging.getLogger("exports.sftp")

MOST_CONNECTIONS = 200
LOGIN_SECONDS = 30
IDLE_SECONDS = 30 * 60
"""As AWS Transfer Family has it."""
ENDING_SECONDS = 3
_LOOK_SECONDS = 0.5


class Listener:
    """Serves SFTP on one address until it is stopped."""

    def __init__(self, host: str, port: int, host_keys: list[paramiko.PKey]) -> None:
        """Bind at once. Raises ``OSError`` when the address is taken."""
        self._host_keys = host_keys
        self._stopped = threading.Event()
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._socket = socket.create_server((host, port), backlog=64)
        self._socket.settimeout(_LOOK_SECONDS)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    def serve(self) -> None:
        """Take connections until :meth:`stop`, then end those that are open."""
        with self._socket:
            while not self._stopped.is_set():
                try:
                    connection, address = self._socket.accept()
                except TimeoutError:
                    continue
                if not self._room.acquire(blocking=False):
                    log.warning("too many connections", extra={"peer": address[0]})
                    connection.close()
                    continue
                threading.Thread(
                    target=self._serve_one, args=(connection, address[0]), daemon=True
                ).start()
        deadline = time.monotonic() + ENDING_SECONDS
        for _ in range(MOST_CONNECTIONS):
            self._room.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """End :meth:`serve`; may be called from a signal's handler."""
        self._stopped.set()

    def _serve_one(self, connection: socket.socket, peer: str) -> None:
        doorkeeper = Doorkeeper(peer, trace.begin())
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with paramiko.Transport(connection) as transport:
                self._keep_open(transport, doorkeeper)
        except (paramiko.SSHException, OSError, EOFError) as error:
            log.info("connection ended", extra={"peer": peer, "error": str(error)})
        finally:
            connection.close()
            # The sessions' own threads note what was fetched; they end with the process.
            doorkeeper.wait_for_sessions(ENDING_SECONDS / 2)
            self._room.release()

    def _keep_open(self, transport: paramiko.Transport, doorkeeper: Doorkeeper) -> None:
        for key in self._host_keys:
            transport.add_server_key(key)
        transport.local_version = "SSH-2.0-headend"
        transport.set_subsystem_handler("sftp", BoundedSFTPServer, sftp_si=Session)
        transport.start_server(server=doorkeeper, event=threading.Event())
        with Attendance(doorkeeper) as attendance:
            while transport.is_active() and not self._stopped.is_set():
                transport.join(_LOOK_SECONDS)
                attendance.look()
                patience = IDLE_SECONDS if transport.is_authenticated() else LOGIN_SECONDS
                if time.monotonic() - doorkeeper.last_active > patience:
                    return
