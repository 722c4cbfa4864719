"""The three steps of a file request: plan it, write each of its parts, publish its file.

A worker claims a step, runs it under a heartbeat, and releases it if it fails. A step whose worker
died can be claimed again after its lease has expired; the next attempt writes the same bytes.
"""

from __future__ import annotations

import logging
import uuid
from abc import abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, Self

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from exports.leases.heartbeat import LeasedWork
from exports.leases.model import LONGEST_PAUSE, Lease, LeasedQuerySet, Pk
from exports.models import ACTIVE, MAX_REASON_LENGTH, ExportPart, FileRequest, Supplier
from exports.pipeline import cleanup, export_file, queue, transitions
from readings.described_table import described_repository

log = logging.getLogger(__name__)


class Step(LeasedWork, Generic[Pk]):
    """One attempt of a step, of which this worker holds the lease."""

    lease: Lease[Pk]

    def __init__(self, lease: Lease[Pk], request_id: uuid.UUID) -> None:
        self.lease = lease
        self.request_id = request_id

    @staticmethod
    @abstractmethod
    def claimable() -> LeasedQuerySet[Any]:
        """Return the rows whose step can be claimed now, in the order in which to claim them."""

    @classmethod
    @abstractmethod
    def claim(cls, pk: Pk) -> Self | None:
        """Claim the step of the row ``pk``. Return None if another worker was faster."""

    @abstractmethod
    def run(self, check: Callable[[], None]) -> int:
        """Do the work, and return how many further steps can be claimed because of it.

        ``check`` raises ``LeaseLostError`` when the result is not needed any more.
        """

    @abstractmethod
    def release(self, error: str) -> bool:
        """Release the lease after a failed attempt. The step can be claimed again after a pause.

        Return False if the lease is lost.
        """

    def fail(self, reason: str) -> None:
        """Record a failed attempt: release the step, or fail its request after the last attempt.

        If the lease is lost, another worker decides what happens to the step.
        """
        if self.release(reason) and self.lease.attempt >= settings.EXPORTS_ATTEMPTS:
            transitions.fail(self.request_id, reason=reason)

    @property
    def pause(self) -> timedelta:
        """How long the step waits after this attempt has failed: first 2 s, then each time twice as long."""
        return min(LONGEST_PAUSE, timedelta(seconds=2**self.lease.attempt))


class RequestStep(Step[uuid.UUID]):
    """A step that holds the lease of the file request itself."""

    def renew(self) -> bool:
        """Renew the lease. Return False if the request is final or the lease is lost."""
        return FileRequest.objects.filter(status__in=ACTIVE).renew(self.lease)

    def release(self, error: str) -> bool:
        """Release the request, and record ``error`` as its reason. Return False if the lease is lost."""
        active = FileRequest.objects.filter(status__in=ACTIVE)
        return active.release(self.lease, pause=self.pause, reason=error[:MAX_REASON_LENGTH])

    def give_back(self) -> None:
        """Let another worker claim the request at once. The attempt does not count."""
        FileRequest.objects.filter(status__in=ACTIVE).give_back(self.lease)


class Plan(RequestStep):
    """Split the window of a queued request into parts. Moves the request to ``submitted``."""

    @staticmethod
    def claimable() -> LeasedQuerySet[FileRequest]:
        """Return the queued requests whose suppliers are below their limits."""
        return queue.plannable()

    @classmethod
    def claim(cls, pk: uuid.UUID) -> Self | None:
        """Claim the request ``pk``. Return None if it is not free or its supplier is at its limit."""
        with transaction.atomic():
            # Without the lock, two workers that plan for one supplier at once could exceed its limit.
            Supplier.objects.select_for_update(no_key=True).get(file_requests=pk)
            lease = queue.plannable().claim(pk)
        return cls(lease, pk) if lease else None

    def run(self, check: Callable[[], None]) -> int:
        """Count the readings of the window, and create the parts. Return how many there are."""
        request = FileRequest.objects.get(pk=self.request_id)
        extract = export_file.extract(
            request, described_repository(), attempt=str(self.lease.token)
        )
        parts = export_file.plan(request, extract)
        check()
        if not transitions.submit(self.lease, snapshot=extract.name, parts=parts):
            return 0
        log.info("planned", extra={"request": str(self.request_id), "parts": len(parts)})
        return len(parts)


class WritePart(Step[int]):
    """Write the readings of one part to the export store. The first one moves the request to ``running``."""

    def __init__(self, lease: Lease[int], part: ExportPart) -> None:
        super().__init__(lease, part.request_id)
        self.time_limit = settings.EXPORTS_PART_SECONDS
        self._part = part
        self._records_done = 0

    @staticmethod
    def claimable() -> LeasedQuerySet[ExportPart]:
        """Return the pending parts; those of the request with the earliest ``priority_at`` first."""
        return queue.writable()

    @classmethod
    def claim(cls, pk: int) -> Self | None:
        """Claim the part ``pk``. Return None if it is not free or its request is final."""
        lease = queue.writable().claim(pk, records_done=0, started_at=timezone.now())
        if lease is None:
            return None
        return cls(lease, ExportPart.objects.select_related("request").get(pk=pk))

    def run(self, check: Callable[[], None]) -> int:
        """Write the part. Return 1 if it was the last one, so that the file can be published, otherwise 0."""

        def progress(records: int) -> None:
            self._records_done = records
            check()

        transitions.run(self.request_id)
        written = export_file.write_part(
            self._part, described_repository(), attempt=str(self.lease.token), progress=progress
        )
        if not transitions.finish_part(self.lease, written):
            return 0
        return 0 if queue.pending_parts().filter(request=self.request_id).exists() else 1

    def renew(self) -> bool:
        """Renew the lease and save the progress. Return False if the request is final or the lease is lost."""
        return queue.pending_parts().renew(self.lease, records_done=self._records_done)

    def release(self, error: str) -> bool:
        """Release the part, and record ``error``. Return False if the lease is lost."""
        return ExportPart.objects.release(
            self.lease, pause=self.pause, error=error[:MAX_REASON_LENGTH]
        )

    def give_back(self) -> None:
        """Let another worker claim the part at once. The attempt does not count."""
        queue.pending_parts().give_back(self.lease)


class Publish(RequestStep):
    """Join the parts to the file and make it visible. Moves the request to ``completed`` or ``skipped``."""

    @staticmethod
    def claimable() -> LeasedQuerySet[FileRequest]:
        """Return the requests whose parts are all written."""
        return queue.publishable()

    @classmethod
    def claim(cls, pk: uuid.UUID) -> Self | None:
        """Claim the request ``pk``. Return None if it is not free."""
        lease = queue.publishable().claim(pk)
        return cls(lease, pk) if lease else None

    def run(self, check: Callable[[], None]) -> int:
        """Publish the file and delete the parts. No further step can be claimed because of it, so return 0."""
        transitions.run(self.request_id)
        request = FileRequest.objects.get(pk=self.request_id)
        if transitions.should_skip(request):
            transitions.skip(self.lease)
            return 0
        file = export_file.publish(
            request, attempt=str(self.lease.token), progress=lambda _: check()
        )
        if transitions.complete(self.lease, file):
            log.info("completed", extra={"request": str(self.request_id), "bytes": file.size})
        cleanup.remove_leftovers_if_final(self.request_id)
        return 0
