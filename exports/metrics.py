"""What the database knows of exports, as Prometheus's metrics, asked for at each scrape."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q, QuerySet, Sum
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
)
from prometheus_client.registry import Collector

from exports.leases.model import is_held
from exports.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    ExportPart,
    FetchWay,
    FileFetch,
    FileRequest,
    PartState,
    Status,
)

PART_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
LOOK_BACK = timedelta(hours=24)


class DatabaseMetrics(Collector):
    """Counters are sums over rows that are never deleted, so they only grow."""

    def collect(self) -> Iterator[Metric]:
        """Every metric, with a zero where there is nothing: a series that vanishes raises no alarm."""
        yield from _requests()
        yield _queue_age()
        yield _parts()
        yield _part_seconds()
        yield from _fetches()
        yield _deliveries()


def _requests() -> Iterator[Metric]:
    rows = FileRequest.objects.order_by().values_list("status")
    found = {
        status: (count, readings)
        for status, count, readings in rows.annotate(Count("pk"), Sum("record_count"))
    }
    by_status = GaugeMetricFamily("headend_file_requests", "File requests.", labels=["status"])
    for status in Status.values:
        by_status.add_metric([status], found.get(status, (0, 0))[0])
    yield by_status
    yield CounterMetricFamily(
        "headend_readings_exported",
        "Readings in the files of completed requests.",
        value=found.get(Status.COMPLETED, (0, 0))[1] or 0,
    )


def _queue_age() -> Metric:
    queued = FileRequest.objects.filter(status=Status.QUEUED)
    oldest = queued.aggregate(oldest=Min("queued_at"))["oldest"]
    age = max(0.0, (timezone.now() - oldest).total_seconds()) if oldest else 0.0
    return GaugeMetricFamily(
        "headend_queue_age_seconds", "How long the oldest queued request has waited.", value=age
    )


def _parts() -> Metric:
    # By way of their requests: those under way are few, the parts ever written are not.
    pending = ExportPart.objects.filter(
        state=PartState.PENDING, request__status__in=[Status.SUBMITTED, Status.RUNNING]
    )
    found = pending.aggregate(all=Count("pk"), writing=Count("pk", filter=is_held()))
    family = GaugeMetricFamily(
        "headend_parts", "Parts that wait, and parts being written.", labels=["state"]
    )
    family.add_metric(["pending"], found["all"] - found["writing"])
    family.add_metric(["writing"], found["writing"])
    return family


def _part_seconds() -> Metric:
    """How long the last day's parts took.

    A gauge histogram, as a window that moves on also forgets: read its quantiles as it stands,
    without ``rate()``. A true histogram has to count every part ever written, with each scrape.
    """
    recent = _timed(ExportPart.objects.filter(request__queued_at__gte=timezone.now() - LOOK_BACK))
    counts = {
        f"within_{number}": Count("pk", filter=Q(took__lte=timedelta(seconds=bound)))
        for number, bound in enumerate(PART_SECONDS)
    }
    found = recent.aggregate(whole=Count("pk"), total=Sum("took"), **counts)
    buckets = [(str(b), found[f"within_{number}"]) for number, b in enumerate(PART_SECONDS)]
    return GaugeHistogramMetricFamily(
        "headend_part_seconds",
        "How long parts took, of requests of the last 24 hours.",
        buckets=[*buckets, ("+Inf", found["whole"])],
        gsum_value=found["total"].total_seconds() if found["total"] else 0.0,
    )


def _timed(parts: QuerySet[ExportPart]) -> QuerySet[ExportPart]:
    took = ExpressionWrapper(F("written_at") - F("started_at"), output_field=DurationField())
    written = parts.filter(state=PartState.WRITTEN, written_at__isnull=False)
    return written.filter(started_at__isnull=False).annotate(took=took)


def _fetches() -> Iterator[Metric]:
    rows = FileFetch.objects.order_by().values_list("way")
    found = {
        way: (count, sent) for way, count, sent in rows.annotate(Count("pk"), Sum("bytes_sent"))
    }
    files = CounterMetricFamily("headend_file_fetches", "Files fetched.", labels=["way"])
    sent = CounterMetricFamily(
        "headend_fetched_bytes", "Bytes sent of files, once their fetch has ended.", labels=["way"]
    )
    for way in FetchWay.values:
        files.add_metric([way], found.get(way, (0, 0))[0])
        sent.add_metric([way], found.get(way, (0, 0))[1])
    yield files
    yield sent


def _deliveries() -> Metric:
    rows = Delivery.objects.order_by().values_list("kind", "state").annotate(Count("pk"))
    found = {(kind, state): count for kind, state, count in rows}
    family = GaugeMetricFamily(
        "headend_deliveries", "Files to bring and news to tell.", labels=["kind", "state"]
    )
    for kind in DeliveryKind.values:
        for state in DeliveryState.values:
            family.add_metric([kind, state], found.get((kind, state), 0))
    return family
