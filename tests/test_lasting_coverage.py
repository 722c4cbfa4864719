"""slipcover rewrites no code in the processes of pytest-xdist: ``tests.lasting_coverage``."""

from __future__ import annotations

import os

import pytest


def test_the_processes_of_the_tests_are_measured_without_rewriting_code() -> None:
    if "SLIPCOVER_ENABLED" not in os.environ:
        pytest.skip("only `make test` measures the coverage, in its first run")
    from slipcover import pytest_plugin

    assert pytest_plugin._slipcover_instance.d_miss_threshold == 1_000_000_000
