"""The record of every file that was fetched: who, from where, how, how much of it, when."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import DatabaseError
from django.utils import timezone

from exports.models import FetchWay, FileFetch, FileRequest

log = logging.getLogger(__name__)


def note_fetch(
    request: FileRequest,
    *,
    way: FetchWay,
    who: str,
    peer: str,
    bytes_sent: int,
    started_at: datetime,
) -> None:
    """Write down a fetch that has just ended, whole or not.

    A database that is down costs the row, not the file: then the log line is what is left.
    """
    ended_at = timezone.now()
    log.info(
        "file fetched",
        extra={
            "request": str(request.pk),
            "way": way.value,
            "who": who,
            "peer": peer,
            "bytes_sent": bytes_sent,
            "bytes_whole": request.size,
            "seconds": round((ended_at - started_at).total_seconds(), 3),
        },
    )
    try:
        FileFetch.objects.create(
            request=request,
            way=way,
            who=who,
            peer=peer,
            bytes_sent=bytes_sent,
            started_at=started_at,
            ended_at=ended_at,
        )
    except DatabaseError:
        log.exception("a fetch could not be noted", extra={"request": str(request.pk)})
