"""Fixtures for the steps of file requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Supplier
from exports.pipeline import export_file
from tests.suppliers import END, FLEET, START

READINGS_PER_INTERVAL = len(FLEET.meters)

CreateRequest = Callable[..., FileRequest]


def finished(request: FileRequest, run_steps: Callable[[], None]) -> FileRequest:
    """Run all steps, and return the request as it is then."""
    run_steps()
    request.refresh_from_db()
    return request


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of two intervals, so that the small fleet's window of nine intervals has five parts."""
    monkeypatch.setattr(export_file, "PART_READINGS", 2 * READINGS_PER_INTERVAL)


@pytest.fixture
def part_per_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of one interval."""
    monkeypatch.setattr(export_file, "PART_READINGS", READINGS_PER_INTERVAL)


@pytest.fixture
def request_file() -> CreateRequest:
    """Accept a request for the readings from ``START`` on, of 40 minutes or as many as given."""

    def create(supplier: Supplier, minutes: int | None = None) -> FileRequest:
        end = END if minutes is None else START + timedelta(minutes=minutes)
        return accept(supplier, FileSpec(START, end))

    return create
