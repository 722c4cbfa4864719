"""Read the next items of a sequence in other threads while the caller uses the current one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def read_ahead(
    read: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int
) -> Iterator[_Result]:
    """Yield ``read(item)`` for each item, in order. Meanwhile, threads read up to ``ahead`` of the next items.

    If ``ahead`` is 0, no other thread is used. Threads end with the iterator, even if the caller closes it early.
    """
    if ahead == 0:
        yield from map(read, items)
        return
    pool = ThreadPoolExecutor(ahead, thread_name_prefix="read-ahead")
    started: deque[Future[_Result]] = deque()
    try:
        for item in items:
            started.append(pool.submit(read, item))
            if len(started) > ahead:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
