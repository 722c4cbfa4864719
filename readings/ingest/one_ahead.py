"""Compute the next value while the last one is used."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Value = TypeVar("Value")


def one_ahead(values: Iterable[Value]) -> Generator[Value]:
    """Yield the values. While the caller uses one, another thread computes the next one.

    At most two values exist at a time. The thread has the caller's context, so it can be cancelled as the caller can.
    """
    iterator = iter(values)

    def following() -> list[Value]:
        return list(islice(iterator, 1))

    with ThreadPoolExecutor(1) as thread:
        computed = thread.submit(copy_context().run, following)
        while found := computed.result():
            computed = thread.submit(copy_context().run, following)
            yield found.pop()
