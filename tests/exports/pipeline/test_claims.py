"""Two workers that claim the same step at the same time: one of them gets it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection, transaction

from exports.models import Supplier
from exports.pipeline import worker
from exports.pipeline.steps import Plan, Publish, Step, WritePart
from tests.exports.pipeline.conftest import CreateRequest


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("readings")
@pytest.mark.parametrize(
    ("kind", "steps_before"),
    [(Plan, 0), (WritePart, 1), (Publish, 2)],
    ids=["plan", "part", "publish"],
)
def test_one_of_two_simultaneous_claims_succeeds(
    alice: Supplier, request_file: CreateRequest, kind: type[Step[Any]], steps_before: int
) -> None:
    request_file(alice)
    for _ in range(steps_before):
        worker.run_next_step()
    pk = kind.claimable().get().pk
    second: list[Step[Any] | None] = []

    def claim() -> None:
        try:
            second.append(kind.claim(pk))
        finally:
            connection.close()

    thread = threading.Thread(target=claim)
    are_simultaneous = connection.vendor == "postgresql"
    with transaction.atomic():
        first = kind.claim(pk)
        if are_simultaneous:
            thread.start()
            wait_for_a_lock()
    if not are_simultaneous:
        # SQLite runs one transaction that writes after the other.
        thread.start()
    thread.join()
    assert first is not None
    assert second == [None]


def wait_for_a_lock() -> None:
    """Wait until another transaction waits for this one."""
    deadline = time.monotonic() + 60
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)
