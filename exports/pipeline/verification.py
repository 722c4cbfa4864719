"""Compares the files in the export store with the checksums with which they were published.

Disks lose and change bytes without a message. Nobody can download a damaged file. It is reported and not deleted.
It becomes available again when its content is restored.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from time import monotonic, sleep
from typing import IO

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from exports.models import HAS_FILE, IS_FILE_DAMAGED, FileRequest
from exports.pipeline import transitions
from exports.stores import FileMissingError, export_store

log = logging.getLogger(__name__)

VERIFY_AFTER = timedelta(hours=20)
"""A file is verified once each night. Damaged files are verified in each run, as many as :data:`DAMAGED_SECONDS` allow."""
MAX_FILES = 10_000
"""Of one run; more than it has time for."""
RUN_SECONDS = 240.0
"""No file is begun after this time. The next run continues: the schedule starts one every five minutes."""
DAMAGED_SECONDS = 60.0
"""No damaged file is begun after this time, so that many of them leave time for the other files."""
MAX_BYTES_PER_SECOND = 50_000_000
"""Reads are not faster, so that downloads and exports are not slowed down."""
_BLOCK_BYTES = 1 << 20


def verify_files() -> int:
    """Verify the damaged files, then those that are due; of each the longest unverified first. Return how many.

    Raises ``OSError`` and the store's errors if the store cannot be used now. Then no file counts as damaged.
    """
    export_store().probe()
    start = monotonic()
    damaged, due = FileRequest.objects.filter(IS_FILE_DAMAGED), _due()
    verified = _verify_until(start + DAMAGED_SECONDS, damaged)
    return verified + _verify_until(start + RUN_SECONDS, due)


def _due() -> QuerySet[FileRequest]:
    latest = timezone.now() - VERIFY_AFTER
    is_due = Q(verified_at__isnull=True, finished_at__lt=latest) | Q(verified_at__lt=latest)
    return FileRequest.objects.filter(HAS_FILE, is_due)


def _verify_until(end: float, requests: QuerySet[FileRequest]) -> int:
    verified = 0
    ordered = requests.order_by(F("verified_at").asc(nulls_first=True))
    # Not one query for all rows: while it is open, SQLite refuses to record a result if another process has written.
    for pk in list(ordered.values_list("pk", flat=True)[:MAX_FILES]):
        if monotonic() >= end:
            break
        request = requests.filter(pk=pk).first()
        if request is not None:
            _verify(request)
            verified += 1
    return verified


def _verify(request: FileRequest) -> None:
    damage = _damage(request)
    if not transitions.record_verification(request.pk, damage=damage):
        return
    extra = {"request": str(request.pk), "location": request.location}
    if damage:
        log.error("a stored file is damaged", extra=extra | {"damage": damage})
    else:
        log.warning("a damaged file was restored", extra=extra)


def _damage(request: FileRequest) -> str:
    """Return what is wrong with the stored file, in a sentence; empty if it has its size and its checksum.

    Raises the store's error if the store cannot be used now.
    """
    assert request.size is not None  # a database constraint for completed requests
    try:
        with export_store().open(request.location, request.size) as file:
            size, sha256 = _size_and_sha256(file)
    except FileMissingError:
        return "The file is missing in the export store."
    except OSError as error:
        # One bad sector must not stop the verification of all other files.
        export_store().probe()
        return f"The file cannot be read: {error.strerror or error}."
    if size != request.size:
        return f"The file has {size:,} bytes instead of {request.size:,}."
    if sha256 != request.sha256:
        return "The file does not have the checksum with which it was published."
    return ""


def _size_and_sha256(file: IO[bytes]) -> tuple[int, str]:
    sha256, size, started = hashlib.sha256(), 0, monotonic()
    while block := file.read(_BLOCK_BYTES):
        sha256.update(block)
        size += len(block)
        ahead = size / MAX_BYTES_PER_SECOND - (monotonic() - started)
        if ahead > 0:
            sleep(ahead)
    return size, sha256.hexdigest()
