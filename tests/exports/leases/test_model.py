"""A lease: one worker holds a row until the lease expires, is released, or is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.leases.model import LONGEST_PAUSE, is_free, is_held, lease_duration
from exports.models import FileRequest, Supplier
from tests.suppliers import END, START

NOW = datetime(2024, 1, 1, tzinfo=START.tzinfo)
SetTime = Callable[[timedelta], None]


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> SetTime:
    """Set the time to a duration after :data:`NOW`."""

    def set_time(duration: timedelta) -> None:
        monkeypatch.setattr(timezone, "now", lambda: NOW + duration)

    set_time(timedelta(0))
    return set_time


@pytest.fixture
def row(alice: Supplier, after: SetTime) -> FileRequest:
    """A row that was never claimed."""
    return FileRequest.objects.create(supplier=alice, start=START, end=END)


def state(row: FileRequest) -> str:
    """Return ``free``, ``held``, or ``pausing``: neither free nor held."""
    rows = FileRequest.objects.filter(pk=row.pk)
    free, held = rows.filter(is_free()).exists(), rows.filter(is_held()).exists()
    assert not (free and held)
    return "free" if free else "held" if held else "pausing"


def test_a_claimed_row_cannot_be_claimed_again(row: FileRequest) -> None:
    assert state(row) == "free"
    lease = FileRequest.objects.claim(row.pk, reason="claimed")
    assert lease is not None
    assert (lease.pk, lease.attempt) == (row.pk, 1)
    assert state(row) == "held"
    assert FileRequest.objects.claim(row.pk, reason="claimed twice") is None
    row.refresh_from_db()
    assert (row.attempts, row.lease, row.reason) == (1, lease.token, "claimed")
    assert row.leased_until == NOW + lease_duration()


def test_only_rows_of_the_query_set_can_be_claimed(row: FileRequest) -> None:
    assert FileRequest.objects.filter(format="parquet").claim(row.pk) is None
    assert FileRequest.objects.filter(reason="").claim(row.pk, reason="taken") is not None


def test_an_expired_lease_can_be_claimed_by_another_worker(
    row: FileRequest, after: SetTime
) -> None:
    first = FileRequest.objects.claim(row.pk)
    assert first is not None
    after(lease_duration() + timedelta(seconds=1))
    assert state(row) == "free"
    second = FileRequest.objects.claim(row.pk)
    assert second is not None
    assert second.attempt == 2
    assert not FileRequest.objects.renew(first)
    assert not FileRequest.objects.release(first, pause=timedelta(0))
    assert not FileRequest.objects.held_by(first).exists()
    assert FileRequest.objects.held_by(second).get() == row


def test_a_renewed_lease_lasts_longer(row: FileRequest, after: SetTime) -> None:
    lease = FileRequest.objects.claim(row.pk)
    assert lease is not None
    after(lease_duration())
    assert FileRequest.objects.renew(lease, reason="renewed")
    after(2 * lease_duration())
    assert state(row) == "held"
    row.refresh_from_db()
    assert row.reason == "renewed"


def test_a_released_row_pauses_before_it_is_free(row: FileRequest, after: SetTime) -> None:
    lease = FileRequest.objects.claim(row.pk)
    assert lease is not None
    assert FileRequest.objects.release(lease, pause=timedelta(seconds=4), reason="it failed")
    assert state(row) == "pausing"
    assert FileRequest.objects.claim(row.pk) is None
    after(timedelta(seconds=5))
    assert state(row) == "free"
    row.refresh_from_db()
    assert (row.attempts, row.lease, row.reason) == (1, None, "it failed")


@pytest.mark.parametrize("back", [timedelta(minutes=10), timedelta(hours=2), timedelta(days=3650)])
def test_a_lease_or_pause_of_a_clock_that_was_ahead_is_over_when_the_clock_is_set_back(
    row: FileRequest, after: SetTime, back: timedelta
) -> None:
    for release in (False, True):
        after(back)
        lease = FileRequest.objects.claim(row.pk)
        assert lease is not None
        if release:
            FileRequest.objects.release(lease, pause=LONGEST_PAUSE)
        assert state(row) == ("pausing" if release else "held")
        after(timedelta(0))
        assert state(row) == "free"
        # A worker that is alive keeps its lease: it renews it within a second.
        if not release:
            assert FileRequest.objects.renew(lease)
            assert state(row) == "held"
            FileRequest.objects.release(lease, pause=timedelta(seconds=-1))


def test_leases_and_pauses_of_a_host_whose_clock_is_a_minute_ahead_are_valid(
    row: FileRequest, after: SetTime
) -> None:
    after(timedelta(minutes=1))
    lease = FileRequest.objects.claim(row.pk)
    assert lease is not None
    after(timedelta(0))
    assert state(row) == "held"
    after(timedelta(minutes=1))
    FileRequest.objects.release(lease, pause=LONGEST_PAUSE)
    after(timedelta(0))
    assert state(row) == "pausing"


def test_a_row_is_exhausted_when_its_last_attempt_has_ended(
    row: FileRequest, after: SetTime, settings: Settings
) -> None:
    settings.EXPORTS_ATTEMPTS = 2
    for attempt in (1, 2):
        assert FileRequest.objects.with_attempts_left().exists()
        assert FileRequest.objects.claim(row.pk)
        assert not FileRequest.objects.exhausted().exists()
        after(attempt * 2 * lease_duration())
    assert not FileRequest.objects.with_attempts_left().exists()
    assert FileRequest.objects.exhausted().get() == row
