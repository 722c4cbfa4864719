"""Callers share the threads of the web server fairly."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from headend.http.server.threads import PROBE, FairThreads
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


def test_a_probe_is_answered_while_all_threads_wait() -> None:
    done: list[str] = []
    may_end = threading.Event()
    threads = FairThreads(2)
    for caller in ("a", "b", "c", "d"):
        threads.add_task(Job(caller, done, may_end))
    threads.add_task(Job(PROBE, done, now()))
    wait_until(lambda: done == [PROBE])
    may_end.set()
    threads.end(30)
    assert sorted(done[1:]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("allowed", [1, 2])
def test_the_server_works_with_fewer_threads_than_configured(
    allowed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start, started = threading.Thread.start, list[int]()

    def start_some(thread: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(1)
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_some)
        threads = FairThreads(4)
    done: list[str] = []
    for caller in ("a", PROBE, "b"):
        threads.add_task(Job(caller, done, now()))
    threads.end(30)
    assert sorted(done) == ["a", "b", PROBE]
    assert "the system allows too few threads" in caplog.text
