"""The log of SFTP sessions: one row for each connection that logged in, from its login to its end.

The connection's own thread writes it, so a database that is locked delays no session.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import AbstractContextManager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from exports.models import SftpSession, SshKey
from exports.sftp.database import database_connection
from headend.config.database_errors import first_line

if TYPE_CHECKING:
    # It needs paramiko, and the portal imports this module.
    from exports.sftp.authentication import ConnectionAuth

log = logging.getLogger("exports.sftp")

RENEW_INTERVAL = timedelta(seconds=30)
LOST_AFTER = 4 * RENEW_INTERVAL
"""If an open session's row was not renewed for this long, the process that served it has ended."""


class SessionLog(AbstractContextManager["SessionLog"]):
    """Writes the row of one connection. If the database fails, the row is missing but the session continues."""

    def __init__(self, auth: ConnectionAuth) -> None:
        self._auth = auth
        self._row: SftpSession | None = None
        self._renewed_at = -math.inf

    def update(self) -> None:
        """Create the row after the login, and renew it every :data:`RENEW_INTERVAL`. Call this often."""
        due = self._renewed_at + RENEW_INTERVAL.total_seconds()
        if self._auth.is_logged_in and time.monotonic() > due:
            self._save()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the end of the session."""
        if self._row is not None:
            self._save(ended=True)

    def _save(self, *, ended: bool = False) -> None:
        key = self._auth.logged_in_key
        self._renewed_at = time.monotonic()
        now = timezone.now()
        row = self._row or SftpSession(
            supplier_id=key.supplier_id, who=key.fingerprint, peer=self._auth.address
        )
        row.seen_at, row.bytes_sent = now, self._auth.bytes_sent
        row.ended_at = now if ended else None
        try:
            with database_connection():
                row.save()
                if self._row is None:
                    SshKey.objects.filter(pk=key.pk).update(last_used_at=now)
            self._row = row
        except (DatabaseError, InterfaceError) as error:
            extra = {"error": first_line(error)}
            log.error("an SFTP session could not be recorded", extra=extra)
