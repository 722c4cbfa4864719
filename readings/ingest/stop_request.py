"""Stop a long command at a safe moment after Ctrl-C or SIGTERM.

Python can raise ``KeyboardInterrupt`` at any instruction. Inside a call of Polars it can be lost or become another
error. So the signal is only recorded, and the work checks for it between two steps: :func:`raise_if_cancelled` raises
:class:`StopRequested`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from readings.cancellation import cancel_when, raise_if_cancelled

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_acts_at_once: ContextVar[bool] = ContextVar("a stop request acts at once", default=False)


class StopRequested(KeyboardInterrupt):
    """The user or the system asks the command to stop. ``exit_code`` is that of a process that the signal ended."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return the exit code after a stop request, or after Ctrl-C before or after :func:`stop_when_asked`."""
    return interrupt.exit_code if isinstance(interrupt, StopRequested) else 128 + signal.SIGINT


@contextmanager
def stop_when_asked() -> Iterator[None]:
    """Let :func:`raise_if_cancelled` raise :class:`StopRequested` after Ctrl-C or SIGTERM. Needs the main thread.

    A second signal ends the process at once, with nothing cleaned up.
    """
    received: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if _acts_at_once.get():
            check()

    def check() -> None:
        if received:
            raise StopRequested(received[0])

    before = {number: signal.signal(number, record) for number in _SIGNALS}
    try:
        with cancel_when(check):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_at_once() -> Iterator[None]:
    """Raise :class:`StopRequested` immediately in this context, for Python code that waits for input or copies it."""
    token = _acts_at_once.set(True)
    try:
        raise_if_cancelled()
        yield
    finally:
        _acts_at_once.reset(token)
