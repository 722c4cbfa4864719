"""Cancellation of repository calls."""

from __future__ import annotations

import pytest

from readings.cancellation import cancel_when, raise_if_cancelled


class NotNeededError(Exception):
    """The caller's own exception."""


def not_needed() -> None:
    raise NotNeededError


def still_needed() -> None:
    """The check of a caller that waits."""


def test_outside_a_context_nothing_is_cancelled() -> None:
    raise_if_cancelled()


def test_the_exception_of_the_check_is_raised() -> None:
    with cancel_when(not_needed), pytest.raises(NotNeededError):
        raise_if_cancelled()


def test_the_check_ends_with_its_context() -> None:
    with pytest.raises(NotNeededError), cancel_when(not_needed):
        raise_if_cancelled()
    raise_if_cancelled()


def test_an_inner_context_replaces_the_outer_check() -> None:
    with cancel_when(not_needed):
        with cancel_when(still_needed):
            raise_if_cancelled()
        with pytest.raises(NotNeededError):
            raise_if_cancelled()
