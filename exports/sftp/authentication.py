"""Who may come in: a supplier by one of its public keys, and by nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import paramiko
from django.db import connection
from django.utils import timezone
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_RESOURCE_SHORTAGE,
    OPEN_SUCCEEDED,
)

from exports.models import SshKey

MOST_SESSIONS = 10
"""SFTP sessions on one connection, as AWS Transfer Family has it."""


@contextmanager
def database() -> Iterator[None]:
    """Use the database from a thread that Django does not know of, and leave no connection behind."""
    try:
        yield
    finally:
        connection.close()


@dataclass(frozen=True)
class Visitor:
    """Who came in, with which key, from which address."""

    supplier_id: int
    supplier: str
    fingerprint: str
    peer: str


def visitor_with(user: str, key: paramiko.PKey, peer: str) -> Visitor | None:
    """The active supplier of that name, if ``key`` is one of its keys."""
    found = (
        SshKey.objects.select_related("supplier")
        .filter(
            supplier__name=user,
            supplier__active=True,
            fingerprint=key.fingerprint,
            public_key=f"{key.get_name()} {key.get_base64()}",
        )
        .first()
    )
    return Visitor(found.supplier_id, user, found.fingerprint, peer) if found else None


def note_use(visitor: Visitor) -> None:
    """Remember when a key was last used."""
    SshKey.objects.filter(supplier=visitor.supplier_id, fingerprint=visitor.fingerprint).update(
        last_used_at=timezone.now()
    )


class Doorkeeper(paramiko.ServerInterface):
    """paramiko's questions about one connection, answered. An unknown user and a wrong key look alike."""

    def __init__(self, peer: str, request_id: str) -> None:
        self.request_id = request_id
        self.visitor: Visitor | None = None
        self.open_sessions = 0
        self.sessions_begun = 0
        self.bytes_sent = 0
        self.last_active = time.monotonic()
        self._peer = peer
        self._change = threading.Condition()

    def session_began(self) -> None:
        """One more is open."""
        with self._change:
            self.open_sessions += 1
            self.sessions_begun += 1

    def session_ended(self) -> None:
        """One has let go of all that it held."""
        with self._change:
            self.open_sessions -= 1
            self._change.notify_all()

    def wait_for_sessions(self, seconds: float) -> None:
        """Give sessions whose connection has ended the time to let go."""
        with self._change:
            self._change.wait_for(lambda: self.open_sessions == 0, seconds)

    def get_allowed_auths(self, username: str) -> str:
        """Neither password nor keyboard."""
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """Asked once whether a key would do, and again when it has signed."""
        with database():
            self.visitor = visitor_with(username, key, self._peer)
        return AUTH_SUCCESSFUL if self.visitor else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Sessions only, and not too many of them: no tunnels."""
        if kind != "session":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if self.open_sessions >= MOST_SESSIONS:
            return OPEN_FAILED_RESOURCE_SHORTAGE
        return OPEN_SUCCEEDED
