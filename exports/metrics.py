"""Prometheus metrics of exports, computed from the database at each scrape."""

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
    IS_FILE_DAMAGED,
    IS_FILE_UNREADABLE,
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
from exports.pipeline.queue import pending_parts

PART_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""The upper bounds of the histogram's buckets, in seconds."""
DURATIONS_WINDOW = timedelta(hours=24)
"""The histogram of durations covers the parts of requests that are younger."""


class DatabaseMetrics(Collector):
    """The metrics of requests, parts, downloads and deliveries.

    A counter is a sum over rows that are never deleted, so it only grows. A scrape takes six queries.
    """

    def collect(self) -> Iterator[Metric]:
        """Yield every metric. Missing values are zero, because an alert cannot see a series that disappears."""
        yield from _requests()
        yield _queue_age()
        yield _parts()
        yield _part_seconds()
        yield from _downloads()
        yield _deliveries()


def _requests() -> Iterator[Metric]:
    rows = FileRequest.objects.order_by().values_list("status")
    counted = list(
        rows.annotate(
            Count("pk"),
            Sum("record_count"),
            damaged=Count("pk", filter=IS_FILE_DAMAGED),
            unreadable=Count("pk", filter=IS_FILE_UNREADABLE),
        )
    )
    found = {status: (count, readings) for status, count, readings, _, _ in counted}
    by_status = GaugeMetricFamily("headend_file_requests", "File requests.", labels=["status"])
    for status in Status.values:
        by_status.add_metric([status], found.get(status, (0, 0))[0])
    yield by_status
    yield CounterMetricFamily(
        "headend_readings_exported",
        "Readings in the files of completed requests.",
        value=found.get(Status.COMPLETED, (0, 0))[1] or 0,
    )
    yield GaugeMetricFamily(
        "headend_damaged_files",
        "Stored files that are damaged or missing and cannot be downloaded.",
        value=sum(damaged for *_, damaged, _ in counted),
    )
    yield GaugeMetricFamily(
        "headend_unreadable_files",
        "Stored files that could not be read when they were last verified.",
        value=sum(unreadable for *_, unreadable in counted),
    )


def _queue_age() -> Metric:
    # Requests of inactive suppliers wait on purpose.
    queued = FileRequest.objects.filter(status=Status.QUEUED, supplier__active=True)
    oldest = queued.aggregate(oldest=Min("queued_at"))["oldest"]
    age = max(0.0, (timezone.now() - oldest).total_seconds()) if oldest else 0.0
    return GaugeMetricFamily(
        "headend_queue_age_seconds", "How long the oldest queued request has waited.", value=age
    )


def _parts() -> Metric:
    found = pending_parts().aggregate(all=Count("pk"), writing=Count("pk", filter=is_held()))
    family = GaugeMetricFamily(
        "headend_parts", "Parts that are pending, and parts that a worker writes.", labels=["state"]
    )
    family.add_metric(["pending"], found["all"] - found["writing"])
    family.add_metric(["writing"], found["writing"])
    return family


def _part_seconds() -> Metric:
    """Return a histogram of how long parts took, for the requests of the last 24 hours.

    It is a gauge histogram, because parts also leave the window. Compute quantiles from it without
    ``rate()``. An ordinary histogram would have to count all parts ever written at each scrape.
    """
    recent = _with_duration(
        ExportPart.objects.filter(request__queued_at__gte=timezone.now() - DURATIONS_WINDOW)
    )
    counts = {
        f"within_{number}": Count("pk", filter=Q(duration__lte=timedelta(seconds=bound)))
        for number, bound in enumerate(PART_SECONDS)
    }
    found = recent.aggregate(count=Count("pk"), total=Sum("duration"), **counts)
    buckets = [(str(b), found[f"within_{number}"]) for number, b in enumerate(PART_SECONDS)]
    return GaugeHistogramMetricFamily(
        "headend_part_seconds",
        "How long parts took to write, for the requests of the last 24 hours.",
        buckets=[*buckets, ("+Inf", found["count"])],
        gsum_value=found["total"].total_seconds() if found["total"] else 0.0,
    )


def _with_duration(parts: QuerySet[ExportPart]) -> QuerySet[ExportPart]:
    duration = ExpressionWrapper(F("written_at") - F("started_at"), output_field=DurationField())
    written = parts.filter(state=PartState.WRITTEN, written_at__isnull=False)
    return written.filter(started_at__isnull=False).annotate(duration=duration)


def _downloads() -> Iterator[Metric]:
    rows = FileFetch.objects.order_by().values_list("way")
    found = {
        way: (count, sent) for way, count, sent in rows.annotate(Count("pk"), Sum("bytes_sent"))
    }
    files = CounterMetricFamily("headend_file_fetches", "Downloads of files.", labels=["way"])
    sent = CounterMetricFamily(
        "headend_fetched_bytes", "Bytes sent in downloads that have ended.", labels=["way"]
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
        "headend_deliveries", "Pushes and webhook calls.", labels=["kind", "state"]
    )
    for kind in DeliveryKind.values:
        for state in DeliveryState.values:
            family.add_metric([kind, state], found.get((kind, state), 0))
    return family
