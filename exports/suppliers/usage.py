"""How much a supplier requested and downloaded on each day."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from exports.models import FileFetch, FileRequest, Status, Supplier

DAYS = 14
"""How many days the usage covers, today included."""

Figures = dict[str, int]
"""Counts and sums by name."""


@dataclass(frozen=True)
class DailyUsage:
    """The file requests and downloads of one day (UTC). Sizes are in bytes.

    ``requested`` has the keys ``requests``, ``failed``, ``readings`` and ``bytes``, and ``downloaded`` has
    ``files`` and ``bytes``. Both are empty for a day without any.
    """

    day: date
    requested: Figures = field(default_factory=dict)
    downloaded: Figures = field(default_factory=dict)


def usage_by_day(supplier: Supplier, now: datetime) -> list[DailyUsage]:
    """Return the last :data:`DAYS` days, newest first; an empty list if the supplier was not active in them."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in range(DAYS)]
    since = datetime.combine(days[-1], datetime.min.time(), UTC)
    requested = _by_day(
        FileRequest.objects.filter(supplier=supplier, queued_at__gte=since),
        "queued_at",
        requests=Count("pk"),
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        readings=Sum("record_count", default=0),
        bytes=Sum("size", default=0),
    )
    downloaded = _by_day(
        FileFetch.objects.filter(request__supplier=supplier, started_at__gte=since),
        "started_at",
        files=Count("pk"),
        bytes=Sum("bytes_sent", default=0),
    )
    if not requested and not downloaded:
        return []
    return [DailyUsage(day, requested.get(day, {}), downloaded.get(day, {})) for day in days]


def _by_day(rows: QuerySet[Any], when: str, **figures: Any) -> dict[date, Figures]:
    days = rows.order_by().annotate(day=TruncDate(when, tzinfo=UTC)).values("day")
    return {row.pop("day"): row for row in days.annotate(**figures)}
