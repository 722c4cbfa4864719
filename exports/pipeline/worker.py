"""Picks the next step of any file request, and runs it under a heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from exports.leases.heartbeat import Heartbeat, LeaseLostError
from exports.models import ACTIVE, FileRequest
from exports.pipeline import cleanup, queue, transitions
from exports.pipeline.failure_reasons import failure_reason
from exports.pipeline.steps import Plan, Publish, Step, WritePart
from headend.config import draining
from readings.cancellation import cancel_when
from readings.outages import is_outage

log = logging.getLogger(__name__)

STEPS: tuple[type[Step[Any]], ...] = (Publish, Plan, WritePart)
"""The kinds of steps, in the order in which a worker looks for one. Publishing is first: it completes a request."""
_STEPS_AFTER_PLAN: tuple[type[Step[Any]], ...] = (WritePart, Publish, Plan)
"""The order after a plan: the parts first, so that a small file needs no search for requests to publish and to plan."""
CANDIDATES = 8
"""How many rows a worker tries to claim for each kind of step; other workers may claim some of them first."""


def run_next_step() -> int | None:
    """Claim the next step and run it. Return None if no step can be claimed.

    Otherwise return how many further steps can be claimed because of it: the parts of a plan, or the publishing of a
    file whose last part it was.

    An error in a step is not raised. It is logged and stored as the reason, and the step is
    retried. After ``EXPORTS_ATTEMPTS`` attempts its request fails.
    """
    step = _claim_next(STEPS)
    return None if step is None else _run(step)


def run_steps() -> int | None:
    """Run the next step. While a step makes exactly one further step possible, run that one too.

    A small file then needs one message to a worker. Return what :func:`run_next_step`
    returns for the last of these steps. If this process ends, the present step is the last one.
    """
    step = _claim_next(STEPS)
    while step is not None:
        new_steps = _run(step)
        if new_steps != 1 or draining.has_begun():
            return new_steps
        step = _claim_after(step)
    return None


def _claim_after(step: Step[Any]) -> Step[Any] | None:
    """Claim the step that ``step`` has made possible, or another one.

    After a plan, a part is searched for, because a request that has waited longer comes first. After the last part of a
    request, the publishing of its file is claimed without a search.
    """
    if isinstance(step, Plan):
        return _claim_next(_STEPS_AFTER_PLAN)
    return Publish.claim(step.request_id) or _claim_next(STEPS)


def _claim_next(step_types: Sequence[type[Step[Any]]]) -> Step[Any] | None:
    for step_type in step_types:
        for pk in list(step_type.claimable().values_list("pk", flat=True)[:CANDIDATES]):
            step = step_type.claim(pk)
            if step is not None:
                return step
    return None


def has_claimable_step() -> bool:
    """Return whether a step can be claimed now."""
    return any(step_type.claimable().exists() for step_type in STEPS)


def fail_exhausted() -> None:
    """Fail the requests whose last attempt ended without a result, because its worker died."""
    for part in queue.pending_parts().exhausted():
        transitions.fail(part.request_id, reason=part.error or _reason(part.attempts))
    for request in FileRequest.objects.filter(status__in=ACTIVE).exhausted():
        transitions.fail(request.pk, reason=request.reason or _reason(request.attempts))


def _reason(attempts: int) -> str:
    if attempts == 1:
        return "Failed after 1 attempt: the worker process died."
    return f"Failed after {attempts} attempts: the worker process died each time."


def _run(step: Step[Any]) -> int:
    context = {"request": str(step.request_id), "attempt": step.lease.attempt}
    try:
        with Heartbeat(step) as heartbeat, cancel_when(heartbeat.check):
            return step.run(heartbeat.check)
    except LeaseLostError:
        log.info("the work was cancelled, given back or given to another worker", extra=context)
        cleanup.remove_leftovers_if_final(step.request_id)
    except Exception as error:
        reason = failure_reason(error)
        log.error(
            "a step failed", extra=context | {"reason": reason}, exc_info=not is_outage(error)
        )
        step.fail(reason)
    return 0
