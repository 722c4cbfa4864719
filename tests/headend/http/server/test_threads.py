"""Callers share the threads of the web server fairly."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from headend.http.server.threads import FairThreads
from tests.headend.http.server.serving import wait_until

pytestmark = pytest.mark.starts_processes


@dataclass
class Job:
    """Work of a caller: it is noted, and waits for an event."""

    caller: str
    done: list[str]
    may_end: threading.Event
    fails: bool = False

    def service(self) -> None:
        assert self.may_end.wait(30)
        if self.fails:
            raise RuntimeError("a bug")
        self.done.append(self.caller)


def now() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_a_caller_with_much_work_leaves_a_thread_for_others() -> None:
    done: list[str] = []
    may_end = threading.Event()
    threads = FairThreads(2)
    for _ in range(5):
        threads.add_task(Job("many", done, may_end))
    threads.add_task(Job("one", done, now()))
    wait_until(lambda: "one" in done)
    assert done == ["one"]
    may_end.set()
    threads.end(30)
    assert done == ["one"] + ["many"] * 5


def test_callers_take_turns() -> None:
    done: list[str] = []
    may_begin = threading.Event()
    threads = FairThreads(1)
    for caller in ("first", "a", "a", "a", "b", "b", "c"):
        threads.add_task(Job(caller, done, may_begin))
    may_begin.set()
    threads.end(30)
    assert done == ["first", "a", "b", "c", "a", "b", "a"]


def test_a_failure_is_logged_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    threads = FairThreads(1)
    threads.add_task(Job("a", done, now(), fails=True))
    threads.add_task(Job("a", done, now()))
    threads.end(30)
    assert done == ["a"]
    assert "a response was not completed" in caplog.text


def test_the_end_waits_no_longer_than_requested() -> None:
    may_end = threading.Event()
    threads = FairThreads(1)
    threads.add_task(Job("a", [], may_end))
    threads.end(0.01)
    may_end.set()
