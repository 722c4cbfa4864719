"""SFTP login: a supplier authenticates with one of its public keys; nothing else is accepted."""

from __future__ import annotations

import logging
import time

import paramiko
from paramiko.channel import Channel
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
from exports.sftp.quotas import Quotas
from exports.sftp.session_slots import SessionSlots
from headend.config.database_errors import first_line, is_database_outage
from headend.config.limited_log import LimitedLog

log = logging.getLogger("exports.sftp")
limited_log = LimitedLog(log)

OUTAGE = "The database cannot be used now. Try again later."
"""What a client is told if the database cannot be reached, or is locked for too long."""


class LoginRefusedError(EOFError):
    """The login cannot be completed now. The message is for the client. It ends the connection."""


class UnsupportedKey(paramiko.PKey):
    """A key of a type that the server does not know, or a damaged one. It is never accepted."""


def find_key(user: str, key: paramiko.PKey) -> SshKey | None:
    """Return the stored key with its supplier if ``key`` belongs to the active supplier ``user``."""
    if "\0" in user:  # PostgreSQL raises an error for it
        return None
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


class ConnectionAuth(paramiko.ServerInterface):
    """Authentication and limits of one SFTP connection.

    paramiko calls the ``check_…`` and ``get_…`` methods. An unknown user and a wrong key get the same answer.
    """

    def __init__(self, address: str, trace_id: str, quotas: Quotas) -> None:
        """``address`` is the client's; ``trace_id`` is on every log line of this connection."""
        self.address = address
        self.trace_id = trace_id
        self.quotas = quotas
        self.sessions = SessionSlots(quotas.sessions)
        self.key: SshKey | None = None
        """The valid key that the client offered last. Before the login, the client has not proved that it owns it."""
        self.is_logged_in = False
        self.bytes_sent = 0
        self.opened_at = self.last_active = time.monotonic()

    @property
    def logged_in_key(self) -> SshKey:
        """The key of the login. Valid in sessions: paramiko opens no session before the login."""
        assert self.key is not None
        return self.key

    @property
    def fetcher(self) -> Fetcher:
        """Who downloads files over this connection. Valid in sessions."""
        return Fetcher(FetchWay.SFTP, self.logged_in_key.fingerprint, self.address)

    def log_fields(self) -> dict[str, str]:
        """Return the supplier, the key and the address, for log lines. Valid after the login."""
        key = self.logged_in_key
        return {"supplier": key.supplier.name, "key": key.fingerprint, "peer": self.address}

    def log_in(self) -> str | None:
        """Complete the login, after the client has proved that it owns the key. Return why it is refused, or None."""
        supplier, quota = self.logged_in_key.supplier, self.quotas.connections
        if not quota.take(supplier.pk):
            limited_log.warning(
                "a connection is refused", supplier=supplier.name, peer=self.address
            )
            if quota.taken(supplier.pk) >= quota.per_supplier:
                return f"You have {quota.per_supplier} open connections, which is the limit. Close one of them."
            return "The server has too many connections. Try again later."
        self.is_logged_in = True
        self.last_active = time.monotonic()
        return None

    def connection_ended(self) -> None:
        """Stop counting the connection of the supplier, after all its threads have ended."""
        if self.is_logged_in:
            self.quotas.connections.release(self.logged_in_key.supplier_id)

    def get_allowed_auths(self, username: str) -> str:
        """Offer public keys only: no password, no keyboard-interactive."""
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """Return whether the key may log in.

        Clients call this twice: first without a signature, to learn whether the key is accepted. Raises
        :class:`LoginRefusedError` if the database cannot be used.
        """
        if isinstance(key, UnsupportedKey):
            return AUTH_FAILED
        try:
            with database_connection():
                self.key = find_key(username, key)
        except Exception as error:
            if not is_database_outage(error):
                raise
            log.error("the database cannot be used", extra={"error": first_line(error)})
            raise LoginRefusedError(OUTAGE) from error
        return AUTH_SUCCESSFUL if self.key else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Allow sessions up to the limits, and no tunnels. A session counts from here on."""
        if kind != "session":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if not self.sessions.take(self.logged_in_key.supplier_id, chanid):
            return OPEN_FAILED_RESOURCE_SHORTAGE
        return OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: Channel, name: str) -> bool:
        """Start the subsystem in its own thread, one for each channel. Return whether it has started."""
        number = channel.get_id()
        if not self.sessions.start(number):
            return False
        is_started = False
        try:
            is_started = super().check_channel_subsystem_request(channel, name)
        except RuntimeError as error:
            # The system lets the process start no more threads.
            limited_log.warning("a session cannot start", error=str(error), peer=self.address)
        finally:
            if not is_started:
                self.sessions.thread_ended(number)
        return is_started
