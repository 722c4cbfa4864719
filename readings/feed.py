"""Whether readings still arrive: the alert in the portal and the metric show the same number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from readings.expectation import MEMORY_DAYS, Expectation
from readings.models import IntervalTotals, LiveArrival
from readings.totals import TOTALS_DELAY


def newest_interval() -> datetime | None:
    """Return the time of the newest interval that has readings and is not in the future, or None.

    A file may contain wrong dates, up to ten years ahead.
    """
    past = IntervalTotals.objects.filter(time__lte=timezone.now())
    newest: datetime | None = past.aggregate(newest=Max("time"))["newest"]
    return newest


def silent_intervals(now: datetime, newest: datetime | None) -> int:
    """Return for how many intervals in a row no readings have arrived at ``now``; 0 if the newest one has readings.

    ``newest`` is the newest interval that has readings. Readings that are all older than a week, such as those of
    a loaded file, are history and not a feed that has stopped. A simulated fleet that has written readings is
    always a feed.
    """
    if newest is None or not _is_feed(now, newest):
        return 0
    interval = Expectation.between(newest.date(), newest.date()).interval()
    return max(0, (now - TOTALS_DELAY - newest) // interval)


def _is_feed(now: datetime, newest: datetime) -> bool:
    if now - newest <= timedelta(days=MEMORY_DAYS):
        return True
    return bool(settings.SIMULATION) and LiveArrival.objects.exists()


class FeedMetrics(Collector):
    """The metric of the feed. A scrape takes at most three queries."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metric."""
        yield GaugeMetricFamily(
            "headend_intervals_without_readings",
            "How many intervals in a row have no readings, up to now.",
            value=silent_intervals(timezone.now(), newest_interval()),
        )
