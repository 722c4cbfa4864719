"""Fail a test that changes environment variables and does not restore them: the next tests of its process would see it.

pytest loads this module with ``-p``, before other fixtures of a test. So it compares after those have restored theirs.
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
