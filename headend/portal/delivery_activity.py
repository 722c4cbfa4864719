"""Queries about SFTP sessions, downloads, pushes and webhooks."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum

from exports.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    FileFetch,
    SftpSession,
    is_failing,
)
from exports.sftp.session_log import LOST_AFTER


def open_sessions(now: datetime) -> QuerySet[SftpSession]:
    """Return the SFTP sessions that are open at ``now``: not ended, and not silent for too long.

    A session whose last sign is in the future counts as lost: the clock was set back.
    """
    seen = (now - LOST_AFTER, now + LOST_AFTER)
    alive = SftpSession.objects.filter(ended_at__isnull=True, seen_at__range=seen)
    return alive.select_related("supplier")


def past_sessions(now: datetime) -> QuerySet[SftpSession]:
    """Return the SFTP sessions that ended or were lost."""
    past = SftpSession.objects.exclude(pk__in=open_sessions(now).values("pk"))
    return past.select_related("supplier")


def failing_deliveries() -> QuerySet[Delivery]:
    """Return the pending deliveries with two failed attempts or more, the next to be attempted first.

    Those of inactive suppliers are left out, because they are not attempted.
    """
    failing = deliveries_with_last_attempt().filter(is_failing(), request__supplier__active=True)
    return failing.order_by("leased_until", "pk")


def deliveries_with_last_attempt() -> QuerySet[Delivery]:
    """Return all deliveries, each with ``last_target`` and ``last_outcome`` of its last attempt."""
    attempts = DeliveryAttempt.objects.filter(delivery=OuterRef("pk")).order_by("-number")
    return Delivery.objects.select_related("request__supplier").annotate(
        last_target=Subquery(attempts.values("target")[:1]),
        last_outcome=Subquery(attempts.values("outcome")[:1]),
    )


def deliveries_today(now: datetime) -> dict[str, int]:
    """Return the counts since midnight UTC.

    ``files`` and ``bytes`` are those of downloads; ``delivered`` and ``failed`` count pushes and webhooks that
    ended today; ``pending`` counts all that have not ended.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    downloads = FileFetch.objects.filter(started_at__gte=midnight).aggregate(
        files=Count("pk"), bytes=Sum("bytes_sent", default=0)
    )
    ended_today = Q(finished_at__gte=midnight)
    deliveries = Delivery.objects.aggregate(
        delivered=Count("pk", filter=ended_today & Q(state=DeliveryState.DELIVERED)),
        failed=Count("pk", filter=ended_today & Q(state=DeliveryState.FAILED)),
        pending=Count("pk", filter=Q(state=DeliveryState.PENDING)),
    )
    return downloads | deliveries
