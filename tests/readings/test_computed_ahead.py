"""The next value is computed while the caller uses the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from readings.cancellation import cancel_when, raise_if_cancelled
from readings.computed_ahead import computed_ahead


def test_the_next_value_is_computed_while_the_caller_uses_one() -> None:
    second_is_computed = Event()

    def values() -> Iterator[int]:
        yield 1
        second_is_computed.set()
        yield 2

    ahead = computed_ahead(values())
    assert next(ahead) == 1
    assert second_is_computed.wait(60)
    assert list(ahead) == [2]


def test_at_most_count_values_are_computed_ahead() -> None:
    third_is_computed = Event()
    computed: list[int] = []

    def values() -> Iterator[int]:
        for value in range(10):
            computed.append(value)
            if value == 2:
                third_is_computed.set()
            yield value

    ahead = computed_ahead(values(), count=2)
    assert next(ahead) == 0
    assert third_is_computed.wait(60)
    ahead.close()
    assert computed == [0, 1, 2]


def test_an_error_follows_the_values_before_it() -> None:
    def values() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    ahead = computed_ahead(values())
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
        next(computed_ahead(values()))


def test_without_values_nothing_is_returned() -> None:
    assert list(computed_ahead([])) == []
