"""Cancel the work of a repository when its result is no longer needed.

The caller (an HTTP request, a worker with a lease) provides a check. A repository runs the check while it waits
for an engine, for example between the result pages of a query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
"""Returns while the result is needed, and raises the caller's own exception when it is not."""


def _never() -> None:
    """The check outside :func:`cancel_when`: work is never cancelled."""


_check: ContextVar[Check] = ContextVar("readings cancellation check", default=_never)


@contextmanager
def cancel_when(check: Check) -> Iterator[None]:
    """Cancel repository calls in this context as soon as ``check`` raises.

    The context belongs to the current thread or task. A nested context replaces the outer check.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def raise_if_cancelled() -> None:
    """Raise the caller's exception if the caller no longer needs the result; otherwise return."""
    _check.get()()
