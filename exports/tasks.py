"""The Celery tasks of exports. A message only says that there is work; the database says which.

So a message that is lost, late or delivered twice does no harm.

The tasks import the pipeline and the deliveries when they run. The pipeline needs Polars, which would take half a second
at the start of each process that only sends messages, and 40 MB of its memory. Deliveries need paramiko.
"""

from __future__ import annotations

import logging

from celery import shared_task
from django.conf import settings
from django.db import transaction

from exports.delivery.transitions import due
from exports.message_sender import MessageSender
from headend.config import draining
from readings.repository_errors import RepositoryUnavailableError
from readings.steady_clock import clock_is_steady
from readings.task_errors import in_one_line

log = logging.getLogger(__name__)

MAX_WAKES = 16
"""How many workers are woken at once. Each of them runs steps until no step is left."""
_sender = MessageSender()


def wake_workers(count: int = 1) -> None:
    """Send ``count`` messages to workers after the current transaction is committed.

    Raises nothing. If the broker is down, :func:`recover` sends a message later. If it hangs, the caller waits one
    second at most, and the messages are sent when the broker answers.
    """
    transaction.on_commit(lambda: _sender.send(work, min(count, MAX_WAKES)))


def wake_cleanup() -> None:
    """Run :func:`tidy` after the current transaction is committed, and not only at its next scheduled time."""
    transaction.on_commit(lambda: _sender.send(tidy, 1))


def wake_expiry() -> None:
    """Run :func:`expire` after the current transaction is committed, and not only at its next scheduled time."""
    transaction.on_commit(lambda: _sender.send(expire, 1))


def wake_deliveries() -> None:
    """Send a message to the workers of deliveries after the current transaction is committed."""
    transaction.on_commit(lambda: _sender.send(deliver, 1))


@shared_task
@in_one_line
def work() -> None:
    """Run the next step, and then the one that it makes possible; wake workers for all others.

    So a small file takes one message; the parts of a large one are shared among all workers.
    """
    from exports.pipeline import worker
    from readings.described_table import described_repository

    # A worker with another table of readings claims no step: each would fail, and its attempts would be used up.
    described_repository()
    new_steps = worker.run_steps()
    if new_steps is not None and (new_steps or worker.has_claimable_step()):
        wake_workers(max(1, new_steps))
    if due().exists():
        wake_deliveries()


@shared_task
@in_one_line
def recover() -> None:
    """Wake a worker if there is work. Beat runs this every few seconds.

    This covers lost messages, workers that died, and the pauses after failed attempts. It also checks the clock, so
    that there is always a recent record of it when data are deleted.
    """
    from exports.pipeline import worker

    clock_is_steady(settings.HEADEND_HOME)
    worker.fail_exhausted()
    if worker.has_claimable_step():
        wake_workers()
    if due().exists():
        wake_deliveries()


@shared_task
@in_one_line
def deliver() -> None:
    """Run the deliveries that are due, one after the other. If this process ends, wake another worker for the rest."""
    from exports.delivery.dispatch import deliver_next

    while not draining.has_begun() and deliver_next():
        pass
    if draining.has_begun() and due().exists():
        wake_deliveries()


@shared_task
@in_one_line
def tidy() -> None:
    """Delete the leftovers of final requests."""
    from exports.pipeline import cleanup

    try:
        cleanup.remove_leftovers()
    except (OSError, RepositoryUnavailableError) as error:
        log.error("leftovers are not removed yet", extra={"error": str(error)})


@shared_task
@in_one_line
def expire() -> None:
    """Expire and delete the files whose retention time is over, and delete those that suppliers removed.

    Also delete meter lists that no request names any more. If the clock has jumped, only removed files are deleted.
    """
    from exports.pipeline import cleanup

    expired = cleanup.expire_files(by_age=clock_is_steady(settings.HEADEND_HOME))
    if expired:
        log.info("files expired", extra={"files": expired})
    cleanup.delete_unused_meter_lists()


@shared_task
@in_one_line
def verify() -> None:
    """Compare stored files with their checksums, at night. A damaged file cannot be downloaded until it is restored."""
    from exports.pipeline.verification import verify_files

    verify_files()


@shared_task
@in_one_line
def verify_again() -> None:
    """Verify the files again that are damaged or could not be read, by day. A restored file is available soon."""
    from exports.pipeline.verification import verify_files

    verify_files(only_failing=True)
