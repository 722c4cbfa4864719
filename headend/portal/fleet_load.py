"""The power of the whole fleet over time, from the interval totals."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Avg, QuerySet

from headend.portal.charts import Point
from readings.models import IntervalTotals
from readings.totals import time_prefix

HOURLY_FROM = timedelta(days=14)
"""A window of this length or longer is drawn with hourly means instead of intervals."""
_HOUR_LENGTH = len("2023-02-27 16")


def totals_between(start: datetime, end: datetime) -> QuerySet[IntervalTotals]:
    """Return the interval totals of a window; both bounds are inclusive."""
    return IntervalTotals.objects.filter(time__gte=start, time__lte=end)


def load_points(start: datetime, end: datetime) -> list[Point]:
    """Return the fleet's power in kW, ascending in time.

    There is one point per interval. A window of :data:`HOURLY_FROM` or longer has one per hour, the mean of its
    intervals, which the database computes.
    """
    totals = totals_between(start, end)
    if end - start < HOURLY_FROM:
        return list(totals.values_list("time", "kw"))
    hours = totals.annotate(hour=time_prefix(_HOUR_LENGTH)).values("hour")
    means = hours.annotate(mean=Avg("kw")).order_by("hour").values_list("hour", "mean")
    return [(datetime.fromisoformat(f"{hour}:00+00:00"), mean) for hour, mean in means]
