"""The lease of a row: one worker's claim on it, valid until it expires.

A model whose rows are worked on by one worker at a time inherits from :class:`Leased`. Every
change is a guarded ``UPDATE``: it either changes the row or reports that another worker was faster.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Self, TypeVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

Pk = TypeVar("Pk", uuid.UUID, int)
Row = TypeVar("Row", bound="Leased", covariant=True)

NO_LEASE: dict[str, None] = {"lease": None, "leased_until": None}
"""The values of a row that any worker may claim at once."""


@dataclass(frozen=True)
class Lease(Generic[Pk]):
    """One worker's claim on the row ``pk``.

    ``token`` is unique to the claim. ``attempt`` counts the claims of the row, from 1.
    """

    pk: Pk
    token: uuid.UUID
    attempt: int


MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How much the clocks of two hosts may differ."""
LONGEST_PAUSE = timedelta(minutes=1)
"""The longest pause of a row after a failed attempt, if its model has no others."""


def is_free(pauses: Sequence[timedelta] = (LONGEST_PAUSE,)) -> Q:
    """Return the condition for rows that can be claimed now.

    These are rows without a lease, with an expired lease, or whose pause after a failure is over. A lease or a pause
    that ends later than a worker could set it now was written while the clock was ahead. It counts as over.

    ``pauses``: the pause after the first failed attempt, after the second, and so on; after further ones the last.
    """
    now = timezone.now()
    latest = now + MAX_CLOCK_DIFFERENCE
    too_long = Q(leased_until__gt=latest + pauses[-1])
    for attempts, pause in enumerate(pauses[:-1], 1):
        too_long |= Q(attempts__lte=attempts, leased_until__gt=latest + pause)
    impossible = Q(lease__isnull=False, leased_until__gt=latest + lease_duration()) | (
        Q(lease__isnull=True) & too_long
    )
    return Q(leased_until__isnull=True) | Q(leased_until__lt=now) | impossible


def is_held() -> Q:
    """Return the condition for rows that a worker holds now.

    A row that pauses after a failure is neither held nor free.
    """
    return Q(lease__isnull=False) & ~is_free()


def lease_duration() -> timedelta:
    """Return how long a lease is valid after it was claimed or renewed."""
    return timedelta(seconds=settings.EXPORTS_LEASE_SECONDS)


def _lease_end() -> datetime:
    return timezone.now() + lease_duration()


class LeasedQuerySet(models.QuerySet[Row]):
    """The rows of a leased model. Each change below applies only to rows of this query set."""

    def free(self) -> Self:
        """Return the rows that can be claimed now; see :func:`is_free`."""
        return self.filter(is_free(self.model.pauses))

    def with_attempts_left(self) -> Self:
        """Return the rows that were claimed fewer than ``EXPORTS_ATTEMPTS`` times."""
        return self.filter(attempts__lt=settings.EXPORTS_ATTEMPTS)

    def exhausted(self) -> Self:
        """Return the rows whose ``EXPORTS_ATTEMPTS`` attempts are used up and that no worker holds."""
        return self.free().filter(attempts__gte=settings.EXPORTS_ATTEMPTS)

    def held_by(self, lease: Lease[Pk]) -> Self:
        """Return the row of ``lease``, or nothing if it was released or another worker claimed it."""
        return self.filter(pk=lease.pk, lease=lease.token)

    def claim(self, pk: Pk, **values: Any) -> Lease[Pk] | None:
        """Claim the row ``pk``, and set ``values`` with it. Return None if the row is not free."""
        token = uuid.uuid4()
        claimed = self.free().filter(pk=pk).update(
            lease=token, leased_until=_lease_end(), attempts=F("attempts") + 1, **values
        )  # fmt: skip
        if not claimed:
            return None
        # The row may not match this query set any more, so it is read without the filters.
        attempts = self.model._base_manager.values_list("attempts", flat=True)
        return Lease(pk, token, attempts.get(pk=pk))

    def renew(self, lease: Lease[Pk], **values: Any) -> bool:
        """Extend ``lease``, and set ``values`` with it. Return False if the lease is lost."""
        return bool(self.held_by(lease).update(leased_until=_lease_end(), **values))

    def release(self, lease: Lease[Pk], *, pause: timedelta, **values: Any) -> bool:
        """Release ``lease``, and set ``values`` with it. The row can be claimed after ``pause``.

        Return False if the lease is lost.
        """
        free_at = timezone.now() + pause
        return bool(self.held_by(lease).update(lease=None, leased_until=free_at, **values))

    def give_back(self, lease: Lease[Pk]) -> bool:
        """Release ``lease`` as if the row had not been claimed: the attempt does not count.

        Return False if the lease is lost.
        """
        return bool(self.held_by(lease).update(attempts=F("attempts") - 1, **NO_LEASE))


class Leased(models.Model):
    """A row that one worker at a time works on."""

    pauses: ClassVar[Sequence[timedelta]] = (LONGEST_PAUSE,)
    """The longest pauses after failed attempts; see :func:`is_free`."""

    attempts = models.PositiveIntegerField(
        default=0, editable=False, help_text="How often a worker claimed the row."
    )
    lease = models.UUIDField(
        null=True, blank=True, editable=False, help_text="The token of the worker's claim."
    )
    leased_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the lease expires, or when the row can be claimed after a failure.",
    )

    objects = LeasedQuerySet.as_manager()

    class Meta:
        abstract = True
