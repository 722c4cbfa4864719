"""Compute the next values while the current one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Value = TypeVar("Value")


def computed_ahead(values: Iterable[Value], *, count: int = 1) -> Generator[Value]:
    """Yield the values. While the caller uses one, another thread computes the next ``count``.

    At most ``count`` + 1 values exist at a time. The thread has a copy of the caller's context, so
    :func:`readings.cancellation.raise_if_cancelled` works there.
    """
    iterator = iter(values)

    def following() -> list[Value]:
        return list(islice(iterator, 1))

    thread = ThreadPoolExecutor(1)
    try:
        computed = deque(thread.submit(copy_context().run, following) for _ in range(count))
        while found := computed.popleft().result():
            computed.append(thread.submit(copy_context().run, following))
            yield found.pop()
    finally:
        thread.shutdown(cancel_futures=True)
