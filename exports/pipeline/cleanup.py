"""Deletes what is not needed any more: leftovers of final requests, and expired files."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import suppress

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from exports.models import FINAL, FileRequest, MeterList, Status
from exports.pipeline import export_file, transitions
from exports.pipeline.failure_reasons import failure_reason
from exports.stores import export_store
from readings.described_table import described_repository
from readings.outages import is_outage

log = logging.getLogger(__name__)


def remove_leftovers() -> None:
    """Delete the parts, extracts and unpublished files of all final requests."""
    for pk in {*export_store().unfinished_requests(), *_requests_with_extracts()}:
        remove_leftovers_if_final(pk)


def remove_leftovers_if_final(pk: uuid.UUID) -> None:
    """Delete what the attempts of the request ``pk`` left behind, if it is final.

    An error is logged and not raised, because :func:`remove_leftovers` retries later.
    """
    request = FileRequest.objects.filter(pk=pk, status__in=FINAL).first()
    if request is None:
        return
    try:
        export_file.remove_leftovers(request, described_repository())
    except Exception as error:
        _log_failure("leftovers are not removed yet", request, error)


def delete_unused_meter_lists() -> int:
    """Delete the meter lists that no file request names any more. Return how many were deleted."""
    unused = list(MeterList.objects.filter(file_requests=None).values_list("pk", flat=True))
    deleted = 0
    for pk in unused:
        # A request that is accepted now can name the list. Its transaction holds a lock until it has ended.
        with transaction.atomic():
            if MeterList.objects.select_for_update().filter(pk=pk).values_list("pk").first():
                deleted += MeterList.objects.filter(pk=pk, file_requests=None).delete()[0]
    return deleted


def expire_files(*, by_age: bool) -> int:
    """Delete the files that suppliers removed. Return how many files were deleted.

    With ``by_age``, also hide and delete the files whose retention time is over. A file that cannot be deleted now is
    hidden nevertheless. The next call deletes it.
    """
    is_due = Q(removal__isnull=False)
    if by_age:
        is_due |= Q(expires_at__lt=timezone.now())
    due = FileRequest.objects.filter(is_due, status=Status.COMPLETED, removed_at__isnull=True)
    removed = 0
    for request in due.iterator():
        transitions.expire(request.pk)
        request.refresh_from_db()
        try:
            export_file.remove_leftovers(request, described_repository())
        except Exception as error:
            _log_failure("an expired file is not removed", request, error)
            continue
        FileRequest.objects.filter(pk=request.pk).update(removed_at=timezone.now())
        removed += 1
    return removed


def _log_failure(message: str, request: FileRequest, error: Exception) -> None:
    extra = {"request": str(request.pk), "reason": failure_reason(error)}
    log.error(message, extra=extra, exc_info=not is_outage(error))


def _requests_with_extracts() -> Iterator[uuid.UUID]:
    for key in described_repository().extract_owners():
        # A folder that is not named after a request belongs to another program.
        with suppress(ValueError):
            yield uuid.UUID(key)
