"""Fail a test that leaves other environment variables than it found: the next tests of its process would use them.

pytest loads this module with ``-p``, before all other fixtures. So this check is after those that restore variables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """Compare the environment before and after the test."""
    before = _environment()
    yield
    # Only the names: a failure prints them, and a value may be a secret.
    changed = {name for name, _ in _environment().items() ^ before.items()}
    assert not changed, f"The test changed environment variables: {', '.join(sorted(changed))}"


def _environment() -> dict[str, str]:
    """Return the environment variables, without the one that pytest itself changes during a test."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
