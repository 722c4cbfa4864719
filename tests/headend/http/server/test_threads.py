"""Callers share the threads of the web server fairly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from headend.http.server.threads import Caller, FairThreads
from tests.headend.http.server.serving import wait_until

pytestmark = pytest.mark.starts_processes


@dataclass
class Job:
    """Work that waits for an event, and then adds the identity of its caller to a list."""

    caller: Caller
    done: list[str]
    may_end: threading.Event
    fails: bool = False

    def service(self) -> None:
        assert self.may_end.wait(30)
        if self.fails:
            raise RuntimeError("a bug")
        self.done.append(self.caller.identity)


def known_by(identity: str, address: str | None = None, *, is_probe: bool = False) -> Caller:
    """Return a caller with this credential. By default, it has a separate address."""
    return Caller(identity, address or f"address of {identity}", is_probe)


def now() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_a_caller_with_much_work_leaves_a_thread_for_others() -> None:
    done: list[str] = []
    may_end = threading.Event()
    threads = FairThreads(2)
    for _ in range(5):
        threads.add_task(Job(known_by("many"), done, may_end))
    threads.add_task(Job(known_by("one"), done, now()))
    wait_until(lambda: "one" in done)
    assert done == ["one"]
    may_end.set()
    threads.end(30)
    assert done == ["one"] + ["many"] * 5


def test_an_address_that_changes_its_credential_leaves_a_thread_for_others() -> None:
    done: list[str] = []
    may_end = threading.Event()
    threads = FairThreads(3)
    for n in range(10):
        threads.add_task(Job(known_by(f"invented {n}", "192.0.2.1"), done, may_end))
    for name in ("b", "c"):
        threads.add_task(Job(known_by(name, "192.0.2.2"), done, now()))
    wait_until(lambda: done == ["b", "c"])
    may_end.set()
    threads.end(30)
    assert len(done) == 12
    assert not threads._requests._running_by_address


def test_callers_of_a_proxy_that_reports_no_address_use_all_threads() -> None:
    done: list[str] = []
    may_end = threading.Event()
    threads = FairThreads(2)
    for name in ("a", "b"):
        threads.add_task(Job(Caller(name, None), done, may_end))
    wait_until(lambda: threads._requests.running.total() == 2)
    may_end.set()
    threads.end(30)


def test_a_credential_that_comes_from_many_addresses_leaves_a_thread_for_others() -> None:
    done: list[str] = []
    may_end = threading.Event()
    threads = FairThreads(2)
    for n in range(5):
        threads.add_task(Job(known_by("many", f"192.0.2.{n}"), done, may_end))
    threads.add_task(Job(known_by("one"), done, now()))
    wait_until(lambda: done == ["one"])
    may_end.set()
    threads.end(30)


def test_one_end_lets_a_credential_and_an_address_begin_that_waited_for_it() -> None:
    done: list[str] = []
    may_end, first_may_end = threading.Event(), threading.Event()
    threads = FairThreads(3)
    for event in (first_may_end, may_end):
        threads.add_task(Job(known_by("a", "192.0.2.1"), done, event))
    wait_until(lambda: threads._requests.running["a"] == 2)
    threads.add_task(Job(known_by("a", "192.0.2.2"), done, may_end))
    threads.add_task(Job(known_by("b", "192.0.2.1"), done, now()))
    # Until the two other threads have looked for work and found none.
    time.sleep(0.05)
    assert not done
    first_may_end.set()
    wait_until(lambda: done == ["a", "b"])
    may_end.set()
    threads.end(30)
    # A job that waits too long is missing.
    assert done == ["a", "b", "a", "a"]


def order_of(*callers: Caller) -> list[str]:
    """Return the order in which one thread serves these callers, which all wait at once."""
    done: list[str] = []
    may_begin = threading.Event()
    threads = FairThreads(1)
    for caller in callers:
        threads.add_task(Job(caller, done, may_begin))
    may_begin.set()
    threads.end(30)
    return done


def test_callers_take_turns() -> None:
    callers = [known_by(name) for name in ("first", "a", "a", "a", "b", "b", "c")]
    assert order_of(*callers) == ["first", "a", "b", "c", "a", "b", "a"]


def test_an_address_has_one_turn_however_many_credentials_it_invents() -> None:
    invented = [known_by(f"invented {n}", "192.0.2.1") for n in range(4)]
    innocent = [known_by("key", "192.0.2.2")] * 2
    assert order_of(known_by("first"), *invented, *innocent) == [
        "first", "invented 0", "key", "invented 1", "key", "invented 2", "invented 3"
    ]  # fmt: skip


def test_within_an_address_credentials_take_turns() -> None:
    office = [known_by(name, "192.0.2.1") for name in ("a", "a", "a", "b", "b")]
    assert order_of(known_by("first"), *office) == ["first", "a", "b", "a", "b", "a"]


def test_callers_of_a_proxy_that_reports_no_address_take_turns_by_credential() -> None:
    unknown = [Caller(name, None) for name in ("a", "a", "b")]
    innocent = known_by("key", "192.0.2.2")
    assert order_of(known_by("first"), *unknown, innocent) == ["first", "a", "b", "key", "a"]


def test_addresses_take_turns_with_probes() -> None:
    probes = [known_by(f"invented {n}", "192.0.2.1", is_probe=True) for n in range(3)]
    monitor = known_by("monitor", is_probe=True)
    assert order_of(known_by("first", is_probe=True), *probes, monitor) == [
        "first", "invented 0", "monitor", "invented 1", "invented 2"
    ]  # fmt: skip


def test_a_failure_is_logged_and_the_thread_goes_on(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    done: list[str] = []
    threads = FairThreads(1)
    threads.add_task(Job(known_by("a"), done, now(), fails=True))
    threads.add_task(Job(known_by("a"), done, now()))
    threads.end(30)
    assert done == ["a"]
    assert [line["message"] for line in log_lines()] == ["a response was not completed"]


def test_the_end_waits_no_longer_than_requested() -> None:
    may_end = threading.Event()
    threads = FairThreads(1)
    threads.add_task(Job(known_by("a"), [], may_end))
    threads.end(0.01)
    may_end.set()


def test_a_probe_is_answered_while_all_threads_wait() -> None:
    done: list[str] = []
    may_end = threading.Event()
    threads = FairThreads(2)
    for caller in ("a", "b", "c", "d"):
        threads.add_task(Job(known_by(caller), done, may_end))
    threads.add_task(Job(known_by("probe", is_probe=True), done, now()))
    wait_until(lambda: done == ["probe"])
    may_end.set()
    threads.end(30)
    assert sorted(done[1:]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("allowed", [1, 2])
def test_the_server_works_with_fewer_threads_than_configured(
    allowed: int, monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
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
    for caller in (known_by("a"), known_by("probe", is_probe=True), known_by("b")):
        threads.add_task(Job(caller, done, now()))
    threads.end(30)
    assert sorted(done) == ["a", "b", "probe"]
    assert [line["message"] for line in log_lines()] == ["the system allows too few threads"]
