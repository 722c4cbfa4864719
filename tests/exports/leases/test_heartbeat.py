"""The heartbeat renews a lease while the work runs, and says when the lease is lost."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError

from exports.leases import heartbeat as module
from exports.leases.heartbeat import Heartbeat, LeasedWork, LeaseLostError
from headend.config import draining

TIMEOUT = 10


class FakeWork(LeasedWork):
    """Work whose renewals give the answers of ``answers`` in turn, and then always the last one."""

    def __init__(self, *answers: bool | Exception, time_limit: float = 600) -> None:
        self.time_limit = time_limit
        self.renewals = 0
        self.enough = threading.Event()
        self.failure: list[str] = []
        self.failed = threading.Event()
        self.given_back = threading.Event()
        self._answers = list(answers)

    def renew(self) -> bool:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.renewals += 1
        if self.renewals >= 3:
            self.enough.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def give_back(self) -> None:
        self.given_back.set()

    def fail(self, reason: str) -> None:
        self.failure.append(reason)
        self.failed.set()


@pytest.fixture(autouse=True)
def fast_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat that does not wait a second between two renewals."""
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)


def wait_for_loss(heartbeat: Heartbeat) -> None:
    """Return when ``check`` raises, as it does soon after the lease is lost."""
    for _ in range(TIMEOUT * 100):
        try:
            heartbeat.check()
        except LeaseLostError:
            return
        threading.Event().wait(0.01)
    pytest.fail("check never raised LeaseLostError")


def test_a_lease_is_renewed_until_the_work_ends() -> None:
    work = FakeWork(True)
    with Heartbeat(work) as heartbeat:
        assert work.enough.wait(TIMEOUT)
        heartbeat.check()
    assert [thread for thread in threading.enumerate() if thread.name == "heartbeat"] == []
    assert work.failure == []


def test_a_process_that_ends_gives_its_work_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining._Draining, "give_back_at", math.inf)
    work = FakeWork(True)
    with Heartbeat(work) as heartbeat:
        draining.begin(3600)
        assert work.enough.wait(TIMEOUT)
        assert not work.given_back.is_set()
        draining.begin(0)
        wait_for_loss(heartbeat)
    assert work.given_back.is_set()
    assert work.failure == []


def test_a_lost_lease_stops_the_work_and_the_renewals() -> None:
    work = FakeWork(True, False, True)
    with Heartbeat(work) as heartbeat:
        wait_for_loss(heartbeat)
        assert work.renewals == 2
    assert work.renewals == 2


@pytest.mark.parametrize("kind", [DatabaseError, OperationalError, InterfaceError])
def test_a_renewal_that_fails_in_the_database_is_retried(
    kind: type[Exception], log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    work = FakeWork(kind("down"), kind("down"), True)
    with Heartbeat(work) as heartbeat:
        assert work.enough.wait(TIMEOUT)
        heartbeat.check()
    lines = log_lines()
    assert [line["error"] for line in lines] == ["down", "down"]
    assert all("exc_info" not in line for line in lines)


def test_work_that_exceeds_its_time_limit_is_failed_once_and_stopped() -> None:
    work = FakeWork(True, time_limit=0.5)
    with Heartbeat(work) as heartbeat:
        heartbeat.check()
        assert work.failed.wait(TIMEOUT)
        wait_for_loss(heartbeat)
    assert work.failure == ["The attempt took longer than 0.5 s."]
