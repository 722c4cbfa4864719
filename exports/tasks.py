"""The Celery tasks around the steps. A message says only that there is work; the database says which."""

from __future__ import annotations

import logging

from celery import Task, shared_task
from django.db import transaction

from exports.delivery.dispatch import deliver_next
from exports.delivery.transitions import due
from exports.pipeline import cleanup, worker

log = logging.getLogger(__name__)

MAX_WAKES = 16
"""How many workers one announcement wakes; each goes on until nothing is left."""


def wake_workers(wakes: int = 1) -> None:
    """Wake workers once the transaction is through. A broker that is down is waited for by :func:`recover`."""
    transaction.on_commit(lambda: _send(work, min(wakes, MAX_WAKES)))


def wake_cleanup() -> None:
    """Have leftovers removed at once and not at the next round."""
    transaction.on_commit(lambda: _send(tidy, 1))


def wake_deliveries() -> None:
    """Wake those who bring files and news to suppliers."""
    transaction.on_commit(lambda: _send(deliver, 1))


def _send(task: Task[[], None], times: int) -> None:
    try:
        for _ in range(times):
            task.delay()
    except Exception:
        # Each broker's library has errors of its own, and none of them may fail a request that is accepted.
        log.warning(
            "the broker cannot be reached; the work waits for the next recovery", exc_info=True
        )


@shared_task
def work() -> None:
    """Take one step and, while something is left, pass the wake on."""
    opened = worker.run_next_step()
    if opened is not None and (opened or worker.has_claimable_step()):
        wake_workers(max(1, opened))
    if due().exists():
        wake_deliveries()


@shared_task
def recover() -> None:
    """Wake a worker where work was left behind: a lost message, a dead worker, a failed attempt."""
    worker.fail_exhausted()
    if worker.has_claimable_step():
        wake_workers()
    if due().exists():
        wake_deliveries()


@shared_task
def deliver() -> None:
    """Try what is due, one after the other."""
    while deliver_next():
        pass


@shared_task
def tidy() -> None:
    """Delete what attempts at final requests left."""
    cleanup.remove_leftovers()


@shared_task
def expire() -> None:
    """Withdraw the files whose time has passed."""
    expired = cleanup.expire_files()
    if expired:
        log.info("files expired", extra={"files": expired})
