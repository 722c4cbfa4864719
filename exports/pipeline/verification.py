"""Compares the files in the export store with the size and the checksum with which they were published.

A disk can lose or change bytes without an error. A damaged file cannot be downloaded. It is reported and not deleted.
It becomes available again when its content is restored.

An error while a file is read says nothing about its content: a network or a server may be down. Such a file stays
available. It is reported, and verified again later.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from time import monotonic, sleep
from typing import IO

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from exports.leases.heartbeat import Heartbeat, LeasedWork, LeaseLostError
from exports.leases.model import MAX_CLOCK_DIFFERENCE, NO_LEASE, Lease
from exports.models import HAS_FILE, IS_FILE_DAMAGED, IS_FILE_KEPT, FileRequest, FileVerification
from exports.pipeline import transitions
from exports.stores import FileMissingError, export_store
from headend.config.database_errors import first_line
from readings.outages import is_outage

log = logging.getLogger(__name__)

VERIFY_AFTER = timedelta(hours=20)
"""A file is verified once each night."""
VERIFY_AGAIN_AFTER = timedelta(minutes=30)
"""The shortest pause before a file that is damaged, or that could not be read, is verified again."""
MAX_VERIFY_AGAIN_AFTER = timedelta(days=1)
"""The longest pause before such a file is verified again."""
PAUSE_PER_READ_TIME = 50
"""Between these limits, the pause is this many times the time of reading the file. Otherwise a huge file that stays
damaged would be read most of the time."""
MAX_FILES = 10_000
"""How many files of a kind one run selects. It has time for fewer."""
RUN_SECONDS = 240.0
"""A run ends after this time. The schedule starts the next one every five minutes.

A run does not begin a file that it would not complete in time, except its first file. While that one is verified, other
runs do nothing.
"""
FAILING_SECONDS = 60.0
"""The time for damaged and unreadable files, so that many of them leave time for the other files."""
MAX_BYTES_PER_SECOND = 50_000_000
"""No file is read faster than this, so that downloads and exports are not slowed down."""
MIN_BYTES_PER_SECOND = 5_000_000
OVERHEAD_SECONDS = 120.0
"""A file counts as unreadable if it takes longer than this plus the time of its bytes at the slowest rate."""
_BLOCK_BYTES = 1 << 20

Check = Callable[[], None]
"""Raises ``LeaseLostError`` if another worker verifies files now."""


def verify_files(*, only_failing: bool = False) -> int:
    """Verify the damaged and unreadable files, then those that are due; of each the longest unverified first.

    Return how many files were verified. With ``only_failing``, only damaged and unreadable files are verified. Does
    nothing if another worker verifies files now.

    Raises ``OSError`` and the store's errors if the store cannot be used now. Then no file counts as damaged.
    """
    kinds = [(FAILING_SECONDS, _failing())]
    if not only_failing:
        kinds.append((RUN_SECONDS, _due()))
    if not any(requests.exists() for _, requests in kinds):
        return 0
    run = VerificationRun.claim()
    return run.verify(kinds) if run else 0


class VerificationRun(LeasedWork):
    """One run, of which this worker holds the lease. It occupies one thread, however long a file takes."""

    def __init__(self, lease: Lease[int]) -> None:
        self._lease = lease

    @classmethod
    def claim(cls) -> VerificationRun | None:
        """Return a run, or None if another worker verifies files now."""
        row, _ = FileVerification.objects.get_or_create(pk=1)
        lease = FileVerification.objects.claim(row.pk)
        return cls(lease) if lease else None

    def renew(self) -> bool:
        """Renew the lease. Return False if another worker has claimed it."""
        return FileVerification.objects.renew(self._lease)

    def fail(self, reason: str) -> None:
        """Release the lease. Nothing is recorded: the files that were not verified are due in the next run."""
        self.release()

    def give_back(self) -> None:
        """End the run, because this process ends. Files that were not verified are due in the next run."""
        self.release()

    def release(self) -> None:
        """Let another run start."""
        FileVerification.objects.held_by(self._lease).update(**NO_LEASE)

    def verify(self, kinds: list[tuple[float, QuerySet[FileRequest]]]) -> int:
        """Verify files, and return how many. ``kinds`` are in order, each with the seconds after which it must end.

        Releases the lease. Raises the store's errors if the store cannot be used now.
        """
        start, verified = monotonic(), 0
        try:
            export_store().probe()
            with Heartbeat(self) as heartbeat:
                for seconds, requests in kinds:
                    verified += _verify_until(
                        start + seconds, requests, self._lease, heartbeat.check
                    )
        except LeaseLostError:
            log.info(
                "the run ends: this process ends, or another worker verifies the stored files now"
            )
        finally:
            self.release()
        return verified


def _failing() -> QuerySet[FileRequest]:
    now = timezone.now()
    # A time that is later than a worker could set it now was written while the clock was ahead.
    impossible = now + MAX_VERIFY_AGAIN_AFTER + MAX_CLOCK_DIFFERENCE
    is_time = Q(verify_after__lt=now) | Q(verify_after__gt=impossible)
    # A process of the previous version records damage without a time.
    return FileRequest.objects.filter(
        is_time & IS_FILE_KEPT | IS_FILE_DAMAGED & Q(verify_after__isnull=True)
    )


def _due() -> QuerySet[FileRequest]:
    now = timezone.now()
    latest = now - VERIFY_AFTER
    is_time = (
        Q(verified_at__isnull=True, finished_at__lt=latest)
        | Q(verified_at__lt=latest)
        | Q(verified_at__gt=now + MAX_CLOCK_DIFFERENCE)
    )
    return FileRequest.objects.filter(HAS_FILE, is_time, verify_after__isnull=True)


def _verify_until(
    end: float, requests: QuerySet[FileRequest], lease: Lease[int], check: Check
) -> int:
    verified = 0
    ordered = requests.order_by(F("verified_at").asc(nulls_first=True))
    # Not one query for all rows: while it is open, SQLite refuses to record a result if another process has written.
    for pk in list(ordered.values_list("pk", flat=True)[:MAX_FILES]):
        request = requests.filter(pk=pk).first()
        if request is None:
            continue
        now = monotonic()
        if now >= end or (verified and now + _expected_seconds(request) > end):
            break
        _verify(request, lease, check)
        verified += 1
    return verified


def _expected_seconds(request: FileRequest) -> float:
    return (request.size or 0) / MAX_BYTES_PER_SECOND


def _pause(request: FileRequest) -> timedelta:
    """Return the pause before the next verification of a file that is damaged or could not be read."""
    in_proportion = timedelta(seconds=PAUSE_PER_READ_TIME * _expected_seconds(request))
    return min(max(VERIFY_AGAIN_AFTER, in_proportion), MAX_VERIFY_AGAIN_AFTER)


def _verify(request: FileRequest, lease: Lease[int], check: Check) -> None:
    extra = {"request": str(request.pk), "location": request.location}
    try:
        damage = _damage(request, check)
    except LeaseLostError:
        raise
    except Exception as error:
        # If the whole store cannot be used, the run ends, and nothing is recorded about this file.
        export_store().probe()
        if not transitions.postpone_verification(lease, request.pk, pause=_pause(request)):
            return
        log.error(
            "a stored file could not be read; it is verified again later",
            extra=extra | {"error": first_line(error)},
            exc_info=not is_outage(error),
        )
        return
    if not transitions.record_verification(lease, request.pk, damage=damage, pause=_pause(request)):
        return
    if damage:
        log.error("a stored file is damaged", extra=extra | {"damage": damage})
    else:
        log.warning("a damaged file was restored", extra=extra)


def _damage(request: FileRequest, check: Check) -> str:
    """Return what is wrong with the stored file, in a sentence; empty if it has its size and its checksum.

    Raises the store's error if the file cannot be read now.
    """
    assert request.size is not None  # a database constraint for completed requests
    store = export_store()
    try:
        size = store.size(request.location)
        if size != request.size:
            return f"The file has {size:,} bytes instead of {request.size:,}."
        with store.open(request.location, request.size) as file:
            sha256 = _sha256(file, request.size, check)
    except FileMissingError:
        # A server answers the same if the whole bucket is missing.
        store.probe()
        return "The file is missing in the export store."
    if sha256 != request.sha256:
        return "The file does not have the checksum with which it was published."
    return ""


def _sha256(file: IO[bytes], size: int, check: Check) -> str:
    sha256, done, started = hashlib.sha256(), 0, monotonic()
    limit = OVERHEAD_SECONDS + size / MIN_BYTES_PER_SECOND
    while block := file.read(_BLOCK_BYTES):
        check()
        sha256.update(block)
        done += len(block)
        elapsed = monotonic() - started
        if elapsed > limit:
            raise TimeoutError(f"The file could not be read within {limit:.0f} s.")
        ahead = done / MAX_BYTES_PER_SECOND - elapsed
        if ahead > 0:
            sleep(ahead)
    return sha256.hexdigest()
