"""The record of who is connected: begun at the login, renewed while it lasts, ended when the client has gone."""

from __future__ import annotations

import logging
import math
import time
from contextlib import AbstractContextManager
from datetime import timedelta
from types import TracebackType

from django.db import DatabaseError
from django.utils import timezone

from exports.models import SftpSession
from exports.sftp.authentication import Doorkeeper, database

log = logging.getLogger("exports.sftp")

RENEWED_EVERY = timedelta(seconds=30)
LOST_AFTER = 4 * RENEWED_EVERY
"""A session that is neither ended nor renewed for so long has lost its process."""


class Attendance(AbstractContextManager["Attendance"]):
    """One connection's row. A database that is down costs the row, not the session."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper
        self._row: SftpSession | None = None
        self._renewed = -math.inf

    def look(self) -> None:
        """Begin the row once somebody has logged in, and keep it fresh."""
        due = self._renewed + RENEWED_EVERY.total_seconds()
        # A visitor is known before the key has signed; a session is begun only after it.
        if self._doorkeeper.sessions_begun and time.monotonic() > due:
            self._note()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The end of it."""
        if self._row is not None:
            self._note(ended=True)

    def _note(self, *, ended: bool = False) -> None:
        visitor = self._doorkeeper.visitor
        assert visitor is not None  # paramiko opens no channel before the login
        self._renewed = time.monotonic()
        now = timezone.now()
        row = self._row or SftpSession(
            supplier_id=visitor.supplier_id, who=visitor.fingerprint, peer=visitor.peer
        )
        row.seen_at, row.bytes_sent = now, self._doorkeeper.bytes_sent
        row.ended_at = now if ended else None
        try:
            with database():
                row.save()
            self._row = row
        except DatabaseError:
            log.exception("a session could not be noted")
