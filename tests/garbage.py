"""The garbage collector does not search modules and collected tests, which exist until the end.

Searching them repeatedly would take a quarter of the time to import and collect the tests.
"""

from __future__ import annotations

import gc

import pytest

gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Turn garbage collection on. It searches only objects that the tests create."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()
