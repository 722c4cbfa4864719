"""A caller has a limited time to read a response, in which waiting for the application does not count."""

from __future__ import annotations

import pytest

from headend.http.server.limits import Limits
from headend.http.server.reading_deadline import ReadingDeadline


@pytest.fixture
def deadline() -> ReadingDeadline:
    """The deadline of a response of 100 bytes: 10 seconds, and a second for each 10 bytes."""
    deadline = ReadingDeadline(Limits(response_seconds=10, response_bytes_per_second=10))
    deadline.add(100)
    return deadline


def test_a_caller_that_does_not_read_has_the_time_of_the_size(deadline: ReadingDeadline) -> None:
    deadline.update(1000, is_unread=True)
    assert not deadline.is_over(1020)
    assert deadline.is_over(1021)


def test_reading_slowly_extends_nothing(deadline: ReadingDeadline) -> None:
    for now in range(1000, 1021):
        deadline.update(now, is_unread=True)
    assert not deadline.is_over(1020)
    assert deadline.is_over(1021)


def test_more_bytes_extend_the_time(deadline: ReadingDeadline) -> None:
    deadline.update(1000, is_unread=True)
    deadline.add(50)
    assert not deadline.is_over(1025)
    assert deadline.is_over(1026)


def test_the_time_without_anything_to_read_does_not_count(deadline: ReadingDeadline) -> None:
    deadline.update(1000, is_unread=True)
    deadline.update(1015, is_unread=False)
    assert not deadline.is_over(5000)
    deadline.update(5000, is_unread=True)
    assert not deadline.is_over(5005)
    assert deadline.is_over(5006)
