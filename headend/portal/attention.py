"""The alerts on the overview.

They report services that cannot be used, missing readings, failed and waiting file requests, damaged files and failed
deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.urls import reverse
from django.utils.timesince import timesince

from exports.models import (
    IS_FILE_DAMAGED,
    IS_FILE_UNREADABLE,
    Delivery,
    DeliveryState,
    FileRequest,
    Status,
    is_failing,
)
from exports.pipeline.transitions import CANCELLED
from headend.monitoring import health
from headend.portal.coverage import DAY, Coverage, may_still_arrive
from readings.feed import silent_intervals

SILENT_INTERVALS = 3
"""After this many intervals in a row without readings, the overview shows an alert."""
MAX_QUEUED_FOR = timedelta(minutes=15)
"""A file request that is queued for longer causes an alert. The alert rules in ``deploy/`` have the same limit."""


@dataclass(frozen=True)
class Alert:
    """A problem that an operator should look at, and the page that shows it."""

    message: str
    url: str


def alerts(now: datetime, coverage: Coverage, newest: datetime | None) -> list[Alert]:
    """Return the alerts, the most urgent first.

    Args:
        now: the current time; failures of the 24 hours before it are reported.
        coverage: the coverage of the last 24 hours.
        newest: the newest interval that has readings; None if there are no readings.
    """
    found = [
        *_unusable_services(),
        _interrupted_feed(now, newest),
        _incomplete_intervals(now, coverage),
        *_stored_files(),
        _failed_requests(now),
        _waiting_requests(now),
        _failed_deliveries(now),
        _failing_deliveries(),
    ]
    return [alert for alert in found if alert is not None]


def _unusable_services() -> list[Alert]:
    """Return an alert for each service that ``/health/ready`` reports."""
    states = health.readiness.results().values()
    return [Alert(sentence, reverse("ready")) for sentence in states if sentence != health.OK]


def _interrupted_feed(now: datetime, newest: datetime | None) -> Alert | None:
    intervals = silent_intervals(now, newest)
    if newest is None or intervals < SILENT_INTERVALS:
        return None
    return Alert(
        f"No readings for {intervals:,} intervals ({timesince(newest, now)}).", reverse("overview")
    )


def _incomplete_intervals(now: datetime, coverage: Coverage) -> Alert | None:
    incomplete = [each for each in coverage.incomplete if not may_still_arrive(each, now)]
    if not incomplete:
        return None
    count, total = len(incomplete), len(coverage.intervals)
    verb = "is" if count == 1 else "are"
    return Alert(
        f"{count:,} of {total:,} intervals of the last 24 hours {verb} incomplete, "
        f"the latest at {incomplete[-1].time:%H:%M} UTC.",
        "#coverage",
    )


def _failed_requests(now: datetime) -> Alert | None:
    failed = FileRequest.objects.filter(status=Status.FAILED, finished_at__gte=now - DAY)
    count = failed.exclude(reason=CANCELLED).count()
    if not count:
        return None
    message = f"{_counted(count, 'file request')} failed in the last 24 hours."
    return Alert(message, reverse("file-requests", query={"status": Status.FAILED.value}))


def _stored_files() -> tuple[Alert | None, Alert | None]:
    """Return the alerts about damaged and about unreadable files, from one query."""
    faulty = FileRequest.objects.filter(IS_FILE_DAMAGED | IS_FILE_UNREADABLE)
    rows = list(faulty.order_by("damaged_at", "verify_after").values_list("pk", "damaged_at"))
    damaged = [pk for pk, damaged_at in rows if damaged_at is not None]
    unreadable = [pk for pk, damaged_at in rows if damaged_at is None]
    verb = "is" if len(damaged) == 1 else "are"
    return (
        _about_files(damaged, f"{verb} damaged and cannot be fetched"),
        _about_files(unreadable, "could not be read at the last verification"),
    )


def _about_files(pks: list[UUID], problem: str) -> Alert | None:
    if not pks:
        return None
    message = f"{_counted(len(pks), 'stored file')} {problem}."
    return Alert(message, reverse("file-request", args=[pks[0]]))


def _waiting_requests(now: datetime) -> Alert | None:
    # Requests of inactive suppliers are meant to wait.
    waiting = FileRequest.objects.filter(
        status=Status.QUEUED, queued_at__lt=now - MAX_QUEUED_FOR, supplier__active=True
    )
    count = waiting.count()
    if not count:
        return None
    verb = "has" if count == 1 else "have"
    minutes = MAX_QUEUED_FOR // timedelta(minutes=1)
    message = (
        f"{_counted(count, 'file request')} {verb} been queued for more than {minutes} minutes."
    )
    return Alert(message, reverse("file-requests", query={"status": Status.QUEUED.value}))


def _failed_deliveries(now: datetime) -> Alert | None:
    failed = Delivery.objects.filter(state=DeliveryState.FAILED, finished_at__gte=now - DAY)
    count = failed.count()
    if not count:
        return None
    message = (
        f"{_counted(count, 'push or webhook', 'pushes or webhooks')} failed in the last 24 hours."
    )
    return Alert(message, reverse("deliveries", query={"state": DeliveryState.FAILED.value}))


def _failing_deliveries() -> Alert | None:
    count = Delivery.objects.filter(is_failing(), request__supplier__active=True).count()
    if not count:
        return None
    verb = "is" if count == 1 else "are"
    message = f"{_counted(count, 'push or webhook', 'pushes or webhooks')} {verb} failing and will be retried."
    return Alert(message, reverse("deliveries", query={"state": "failing"}))


def _counted(count: int, singular: str, plural: str | None = None) -> str:
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
