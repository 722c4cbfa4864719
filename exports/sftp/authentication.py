"""SFTP login: a supplier authenticates with one of its public keys; nothing else is accepted."""

from __future__ import annotations

import logging
import threading
import time

import paramiko
from django.utils import timezone
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_RESOURCE_SHORTAGE,
    OPEN_SUCCEEDED,
)

from exports.delivery.audited_file import Fetcher
from exports.models import FetchWay, SshKey
from exports.sftp.database import database_connection
from headend.config.database_errors import first_line, is_database_outage

log = logging.getLogger("exports.sftp")

MAX_SESSIONS = 10
"""How many sessions (SSH channels) a client can open on one connection: the limit of AWS Transfer Family."""


def find_key(user: str, key: paramiko.PKey) -> SshKey | None:
    """Return the stored key with its supplier if ``key`` belongs to the active supplier ``user``."""
    return (
        SshKey.objects.select_related("supplier")
        .filter(
            supplier__name=user,
            supplier__active=True,
            fingerprint=key.fingerprint,
            public_key=f"{key.get_name()} {key.get_base64()}",
        )
        .first()
    )


def record_key_use(key: SshKey) -> None:
    """Set the time at which the key was last used."""
    SshKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())


class ConnectionAuth(paramiko.ServerInterface):
    """Authentication and limits of one SFTP connection.

    paramiko calls the ``check_…`` and ``get_…`` methods. An unknown user and a wrong key get the same answer.
    """

    def __init__(self, address: str, trace_id: str) -> None:
        """``address`` is the client's; ``trace_id`` is on every log line of this connection."""
        self.address = address
        self.trace_id = trace_id
        self.key: SshKey | None = None
        """The key that the client offered last and that is valid. The login is complete when a session opens."""
        self.open_sessions = 0
        self.sessions_opened = 0
        self.bytes_sent = 0
        self.last_active = time.monotonic()
        self._sessions_changed = threading.Condition()

    @property
    def logged_in_key(self) -> SshKey:
        """The key of the login. Valid in sessions: paramiko opens no session before the login."""
        assert self.key is not None
        return self.key

    @property
    def fetcher(self) -> Fetcher:
        """Who downloads files over this connection. Valid in sessions."""
        return Fetcher(FetchWay.SFTP, self.logged_in_key.fingerprint, self.address)

    def session_opened(self) -> None:
        """Count one more open session."""
        with self._sessions_changed:
            self.open_sessions += 1
            self.sessions_opened += 1

    def session_closed(self) -> None:
        """Count one open session less. Call it after the session has closed its files."""
        with self._sessions_changed:
            self.open_sessions -= 1
            self._sessions_changed.notify_all()

    def wait_for_sessions(self, seconds: float) -> None:
        """Wait until all sessions are closed, for ``seconds`` at most."""
        with self._sessions_changed:
            self._sessions_changed.wait_for(lambda: self.open_sessions == 0, seconds)

    def get_allowed_auths(self, username: str) -> str:
        """Offer public keys only: no password, no keyboard-interactive."""
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """Return whether the key may log in.

        Clients call this twice: first without a signature, to learn whether the key is accepted. Raises ``EOFError`` if
        the database cannot be used.
        """
        try:
            with database_connection():
                self.key = find_key(username, key)
        except Exception as error:
            if not is_database_outage(error):
                raise
            log.error("the database cannot be used", extra={"error": first_line(error)})
            # paramiko closes the connection at this error, without a traceback. The client can try again.
            raise EOFError from error
        return AUTH_SUCCESSFUL if self.key else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Allow up to :data:`MAX_SESSIONS` sessions, and no tunnels."""
        if kind != "session":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if self.open_sessions >= MAX_SESSIONS:
            return OPEN_FAILED_RESOURCE_SHORTAGE
        return OPEN_SUCCEEDED
