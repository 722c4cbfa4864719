"""Run the steps of file requests with several workers, each in a thread of this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from exports.pipeline import worker


def run_steps_with_workers(workers: int) -> None:
    """Run the steps of all file requests until none is left. The first step must be the plan of a request."""
    # The first step plans the parts, so that all workers find work.
    worker.run_next_step()
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(lambda _: _work_until_done(), range(workers)))


def _work_until_done() -> None:
    try:
        while worker.run_next_step() is not None or worker.has_claimable_step():
            pass
    finally:
        connection.close()
