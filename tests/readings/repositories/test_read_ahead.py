"""Items are read in order, some of them before they are needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from readings.repositories.read_ahead import read_ahead


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
def test_results_are_in_order(ahead: int) -> None:
    assert list(read_ahead(str, range(10), ahead)) == [str(n) for n in range(10)]
    assert list(read_ahead(str, [], ahead)) == []


def test_the_next_items_are_read_meanwhile() -> None:
    read = [threading.Event() for _ in range(3)]

    def reading(number: int) -> int:
        read[number].set()
        return number

    results = read_ahead(reading, range(3), 2)
    assert next(results) == 0
    assert all(event.wait(60) for event in read)
    assert list(results) == [1, 2]


def test_not_more_items_than_allowed_are_taken() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    results = read_ahead(str, items(), 2)
    next(results)
    assert taken == [0, 1, 2]


def test_an_error_is_raised_in_its_place() -> None:
    results = read_ahead(lambda number: 1 // number, [1, 0, 1], 2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_threads_end_when_the_caller_stops() -> None:
    before = threading.active_count()
    results = read_ahead(str, range(10), 2)
    next(results)
    assert isinstance(results, Iterator)
    results.close()  # type: ignore[attr-defined] # it is a generator
    assert threading.active_count() == before
