"""Spare the garbage collector the objects of modules and collected tests, which live until the end.

To search them again and again takes a quarter of the time to import and collect the tests.
"""

from __future__ import annotations

import gc

import pytest

gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Collect garbage from now on, but only among objects that the tests create."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()
