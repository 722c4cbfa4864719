"""Fixtures for the steps of file requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from exports.file_requests import FileSpec, accept
from exports.metrics import DatabaseMetrics
from exports.models import FileRequest, Supplier
from exports.pipeline import export_file
from exports.pipeline.verification import verify_files
from tests.suppliers import END, FLEET, START, file_path

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
    """Accept a request for the readings from ``START`` on, of 40 minutes or of ``minutes``."""

    def create(supplier: Supplier, minutes: int | None = None) -> FileRequest:
        end = END if minutes is None else START + timedelta(minutes=minutes)
        return accept(supplier, FileSpec(START, end))

    return create


@pytest.fixture
def due(completed: FileRequest) -> FileRequest:
    """A completed request whose file was last verified the day before yesterday."""
    FileRequest.objects.update(verified_at=timezone.now() - timedelta(days=2))
    return completed


def change_a_byte(request: FileRequest) -> bytes:
    """Change one byte of the stored file, and return the bytes that it had."""
    file = file_path(request.location)
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    return content


def end_the_pauses() -> None:
    """End the pauses of all damaged and unreadable files, so that they are verified next."""
    past = timezone.now() - timedelta(seconds=1)
    FileRequest.objects.exclude(verify_after=None).update(verify_after=past)


@pytest.fixture
def damaged(due: FileRequest) -> FileRequest:
    """A completed request whose file was found to be damaged."""
    change_a_byte(due)
    assert verify_files() == 1
    due.refresh_from_db()
    return due


def metric(name: str) -> float:
    """Return the value of a metric without labels."""
    [found] = [each for each in DatabaseMetrics().collect() if each.name == name]
    [sample] = found.samples
    return sample.value
