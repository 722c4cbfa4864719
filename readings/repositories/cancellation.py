"""Whether an answer is still wanted. Who asks says so; who waits for an engine looks from time to time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
"""Returns while the answer is wanted, raises when it no longer is."""


def _always() -> None:
    """Nobody asked to be asked."""


_check: ContextVar[Check] = ContextVar("readings still wanted", default=_always)


@contextmanager
def as_long_as(check: Check) -> Iterator[None]:
    """What is asked of a repository in here is given up when ``check`` raises."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def still_wanted() -> None:
    """Raises what the one who asks raises when nobody waits any more."""
    _check.get()()
