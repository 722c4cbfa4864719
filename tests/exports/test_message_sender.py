"""Messages are sent in a thread, and a broker that hangs delays at most one caller, by a second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Task
from kombu.exceptions import OperationalError

from exports import message_sender
from exports.message_sender import MessageSender
from headend import trace

LONG_SECONDS = 60.0
"""Seconds. Longer than every pause of a slow machine; no test waits this long unless it fails."""


class HangingBroker:
    """A broker that takes no message before ``answers`` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.sent: list[tuple[str, str | None]] = []
        """The task and the trace id of each message."""

    def task(self, name: str) -> Task[[], None]:
        """Return a task whose messages this broker gets."""

        def delay() -> None:
            assert self.answers.wait(LONG_SECONDS)
            self.sent.append((name, trace.current()))

        return cast("Task[[], None]", SimpleNamespace(name=name, delay=delay))


@pytest.fixture
def broker() -> Iterator[HangingBroker]:
    """A broker that hangs. It answers after the test, so that no thread remains."""
    hanging = HangingBroker()
    yield hanging
    hanging.answers.set()


@pytest.fixture
def sender() -> MessageSender:
    """A new sender for each test."""
    return MessageSender()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let callers wait until their messages are sent, however slow the machine is."""
    monkeypatch.setattr(message_sender, "MAX_WAIT_SECONDS", LONG_SECONDS)


@pytest.mark.usefixtures("patient")
def test_messages_are_sent_with_the_trace_id_of_the_caller_before_the_caller_continues(
    sender: MessageSender, broker: HangingBroker
) -> None:
    broker.answers.set()
    trace.begin("abc")
    try:
        sender.send(broker.task("work"), 2)
    finally:
        trace.end()
    sender.send(broker.task("tidy"), 1)
    assert broker.sent == [("work", "abc"), ("work", "abc"), ("tidy", None)]


def test_a_caller_continues_while_the_broker_hangs_and_the_messages_are_sent_later(
    sender: MessageSender, broker: HangingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_sender, "MAX_WAIT_SECONDS", 0.01)
    sender.send(broker.task("work"), 1)
    assert broker.sent == []
    # Only the first caller waits.
    monkeypatch.setattr(message_sender, "MAX_WAIT_SECONDS", LONG_SECONDS)
    for count in (3, 2, 1):
        sender.send(broker.task("work"), count)
    sender.send(broker.task("deliver"), 1)
    assert broker.sent == []

    broker.answers.set()
    sender.send(broker.task("tidy"), 1)
    wait_until_idle(sender)
    # Orders that waited are one order for each task.
    names = [name for name, _ in broker.sent]
    assert names == ["work"] + 3 * ["work"] + ["deliver", "tidy"]


@pytest.mark.usefixtures("patient")
def test_a_broker_that_refuses_messages_is_one_line_and_the_next_messages_are_sent(
    sender: MessageSender, broker: HangingBroker, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused")

    sender.send(cast("Task[[], None]", SimpleNamespace(name="work", delay=refuse)), 5)
    [line] = log_lines()
    assert line["error"] == "OperationalError: connection refused"
    broker.answers.set()
    sender.send(broker.task("work"), 1)
    assert broker.sent == [("work", None)]


@pytest.mark.usefixtures("patient")
def test_without_a_free_thread_the_caller_continues_and_the_next_one_sends_the_messages(
    sender: MessageSender, broker: HangingBroker
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        sender.send(broker.task("work"), 2)
    broker.answers.set()
    sender.send(broker.task("tidy"), 1)
    assert [name for name, _ in broker.sent] == ["work", "work", "tidy"]


def wait_until_idle(sender: MessageSender) -> None:
    """Wait until all orders are sent."""
    thread = sender._thread
    if thread is not None:
        thread.join(LONG_SECONDS)
        assert not thread.is_alive()
