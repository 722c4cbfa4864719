"""The next value is computed while the caller uses the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from readings.cancellation import cancel_when, raise_if_cancelled
from readings.ingest.one_ahead import one_ahead


def test_the_next_value_is_computed_while_the_caller_uses_one() -> None:
    second_is_computed = Event()

    def values() -> Iterator[int]:
        yield 1
        second_is_computed.set()
        yield 2

    ahead = one_ahead(values())
    assert next(ahead) == 1
    assert second_is_computed.wait(60)
    assert list(ahead) == [2]


def test_an_error_follows_the_values_before_it() -> None:
    def values() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    ahead = one_ahead(values())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="no more"):
        next(ahead)


def test_the_computation_can_be_cancelled_as_its_caller_can() -> None:
    def values() -> Iterator[int]:
        raise_if_cancelled()
        yield 1

    def cancelled() -> None:
        raise KeyboardInterrupt

    with cancel_when(cancelled), pytest.raises(KeyboardInterrupt):
        next(one_ahead(values()))


def test_without_values_nothing_is_returned() -> None:
    assert list(one_ahead([])) == []
