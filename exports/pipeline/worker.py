"""One step of any export: whatever is next in line is claimed, done and finished.

The database says what there is to do. A step left behind by a worker that died is free
again when its lease has run out, and its next attempt makes the same bytes.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from exports.leases.heartbeat import Heartbeat, LeaseLostError
from exports.models import ACTIVE, FINAL, ExportPart, FileRequest, PartState, Status
from exports.pipeline import export_file, transitions
from exports.pipeline.failure_reasons import reason_of
from exports.pipeline.transitions import Lease, Pk
from exports.stores import export_store
from readings.repositories import repository
from readings.repositories.cancellation import cancel_when

log = logging.getLogger(__name__)

_CANDIDATES = 8
"""How many rows in line are tried before this worker gives way to those that were first."""


def take_one_step() -> int | None:
    """Do the next step in line: publish, plan or write a part. None when there is none.

    Says how many steps it opened that could be taken at once: a plan's parts. A step that fails
    is logged, kept as the row's reason and tried again, ``EXPORTS_ATTEMPTS`` times in all; then
    its request fails.
    """
    for take, candidates in (
        (_publish, _in_line(_publishable())),
        (_plan, _in_line(_plannable())),
        (_write_part, _in_line(_writable())),
    ):
        for pk in candidates:
            opened = take(pk)
            if opened is not None:
                return opened
    return None


def something_is_left() -> bool:
    """Whether a step could be taken now."""
    return _publishable().exists() or _plannable().exists() or _writable().exists()


def remove_leftovers() -> None:
    """Remove what attempts at final requests left."""
    for pk in {*export_store().unfinished_requests(), *_with_extracts()}:
        _tidy_if_final(pk)


def _with_extracts() -> Iterator[uuid.UUID]:
    for key in repository().extract_owners():
        # What else lies beside the extracts is somebody else's.
        with suppress(ValueError):
            yield uuid.UUID(key)


def give_up_what_kills() -> None:
    """Fail the requests whose work was begun as often as it may, and ended with its worker each time."""
    gone = Q(leased_until__lt=timezone.now(), attempts__gte=settings.EXPORTS_ATTEMPTS)
    for part in ExportPart.objects.filter(
        gone, state=PartState.PENDING, request__status__in=ACTIVE
    ):
        transitions.fail(part.request_id, reason=_given_up(part.attempts, part.error))
    for request in FileRequest.objects.filter(gone, status__in=ACTIVE):
        transitions.fail(request.pk, reason=_given_up(request.attempts, request.reason))


def _given_up(attempts: int, error: str) -> str:
    return error or f"Given up: {attempts} attempts ended with their worker."


def expire_files() -> int:
    """Withdraw the files whose time has passed, then remove them; says how many were removed.

    One that cannot be removed now is withdrawn all the same, and removed at a later round.
    """
    due = FileRequest.objects.filter(
        status=Status.COMPLETED, removed_at__isnull=True, expires_at__lt=timezone.now()
    )
    removed = 0
    for request in due.iterator():
        transitions.expire(request.pk)
        request.refresh_from_db()
        try:
            export_file.remove_leftovers(request, repository())
        except Exception:
            log.exception("an expired file is not removed", extra={"request": str(request.pk)})
            continue
        FileRequest.objects.filter(pk=request.pk).update(removed_at=timezone.now())
        removed += 1
    return removed


def _free(rows: QuerySet[FileRequest]) -> QuerySet[FileRequest]:
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=timezone.now())
    return rows.filter(free, attempts__lt=settings.EXPORTS_ATTEMPTS).order_by("queued_at")


def _in_line(rows: QuerySet[Any]) -> list[Any]:
    return list(rows.values_list("pk", flat=True)[:_CANDIDATES])


def _plannable() -> QuerySet[FileRequest]:
    waiting = FileRequest.objects.filter(status=Status.QUEUED)
    return _free(waiting.exclude(supplier__in=transitions.suppliers_at_their_limit()))


def _publishable() -> QuerySet[FileRequest]:
    pending = ExportPart.objects.filter(request=OuterRef("pk"), state=PartState.PENDING)
    planned = FileRequest.objects.filter(status__in=[Status.SUBMITTED, Status.RUNNING])
    return _free(planned.filter(~Exists(pending)))


def _writable() -> QuerySet[ExportPart]:
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=timezone.now())
    return ExportPart.objects.filter(
        free,
        state=PartState.PENDING,
        attempts__lt=settings.EXPORTS_ATTEMPTS,
        request__status__in=[Status.SUBMITTED, Status.RUNNING],
    ).order_by("request__turn_at", "number")


def _plan(pk: uuid.UUID) -> int | None:
    lease = transitions.claim_for_planning(pk)
    if lease is None:
        return None

    parts: list[ExportPart] = []

    def work(heartbeat: Heartbeat) -> None:
        nonlocal parts
        request = FileRequest.objects.get(pk=pk)
        extract = export_file.extract(request, repository(), attempt=str(lease.token))
        parts = export_file.plan(request, extract)
        heartbeat.check()
        if transitions.submit(lease, snapshot=extract.name, parts=parts):
            log.info("planned", extra={"request": str(pk), "parts": len(parts)})

    _attempt(pk, lease, lambda: transitions.renew_request(lease), transitions.release_request, work)
    return len(parts)


def _write_part(pk: int) -> int | None:
    lease = transitions.claim_part(pk)
    if lease is None:
        return None
    part = ExportPart.objects.select_related("request").get(pk=pk)
    transitions.run(part.request_id)
    done = 0

    def work(heartbeat: Heartbeat) -> None:
        def progress(records: int) -> None:
            nonlocal done
            done = records
            heartbeat.check()

        written = export_file.write_part(
            part, repository(), attempt=str(lease.token), progress=progress
        )
        transitions.finish_part(lease, written)

    _attempt(
        part.request_id,
        lease,
        lambda: transitions.renew_part(lease, records_done=done),
        transitions.release_part,
        work,
        limit=settings.EXPORTS_PART_SECONDS,
    )
    return 0


def _publish(pk: uuid.UUID) -> int | None:
    lease = transitions.claim_request(pk, [Status.SUBMITTED, Status.RUNNING])
    if lease is None:
        return None
    transitions.run(pk)

    def work(heartbeat: Heartbeat) -> None:
        request = FileRequest.objects.get(pk=pk)
        if transitions.is_to_be_skipped(request):
            transitions.skip(lease)
            return
        file = export_file.publish(
            request, attempt=str(lease.token), progress=lambda _: heartbeat.check()
        )
        if transitions.complete(lease, file):
            log.info("completed", extra={"request": str(pk), "bytes": file.size})
        _tidy_if_final(pk)

    _attempt(pk, lease, lambda: transitions.renew_request(lease), transitions.release_request, work)
    return 0


def _attempt(
    request_pk: uuid.UUID,
    lease: Lease[Pk],
    renew: Callable[[], bool],
    release: Callable[..., None],
    work: Callable[[Heartbeat], None],
    *,
    limit: float = math.inf,
) -> None:
    """Run ``work`` under a heartbeat; a failure costs one attempt, the last one the request."""
    where = {"request": str(request_pk), "attempt": lease.attempt}

    def failed(reason: str) -> None:
        release(lease, error=reason)
        if lease.attempt >= settings.EXPORTS_ATTEMPTS:
            transitions.fail(request_pk, reason=reason)

    try:
        with (
            Heartbeat(
                renew, limit=limit, overdue=lambda: failed(f"A part took longer than {limit:g} s.")
            ) as heartbeat,
            cancel_when(heartbeat.check),
        ):
            work(heartbeat)
    except LeaseLostError:
        log.info("the work was cancelled or given to another worker", extra=where)
        _tidy_if_final(request_pk)
    except Exception as error:
        log.exception("a step failed", extra=where)
        failed(reason_of(error))


def _tidy_if_final(pk: uuid.UUID) -> None:
    request = FileRequest.objects.filter(pk=pk, status__in=FINAL).first()
    if request is None:
        return
    try:
        export_file.remove_leftovers(request, repository())
    except Exception:
        log.exception("leftovers are not removed yet", extra={"request": str(pk)})
