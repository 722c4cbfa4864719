"""Deliveries and their attempts, and the downloads and removals of files."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from exports.leases.model import Leased
from exports.models.file_requests import MAX_REASON_LENGTH, FileRequest


class DeliveryKind(models.TextChoices):
    """A push uploads the file to the supplier's server; a webhook notifies the supplier of the final status."""

    PUSH = "push"
    WEBHOOK = "webhook"


class DeliveryState(models.TextChoices):
    """``pending`` until an attempt succeeds (``delivered``) or no attempt is left (``failed``)."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


FAILING_FROM = 2
"""A pending delivery is failing when this many of its attempts have failed."""


def is_failing() -> Q:
    """Return the condition for pending deliveries of which :data:`FAILING_FROM` attempts or more have failed."""
    failed_once_more = Q(attempts__gt=FAILING_FROM) | Q(attempts=FAILING_FROM, lease__isnull=True)
    return Q(state=DeliveryState.PENDING) & failed_once_more


class Delivery(Leased):
    """A push or a webhook call for one file request.

    Created in the transaction that makes the request final, so no delivery can be missing.
    """

    pauses = (
        timedelta(seconds=10),
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=6),
    )
    """The pause after each failed attempt. There is one attempt more than there are pauses."""

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(FileRequest, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=16, choices=DeliveryKind.choices)
    state = models.CharField(
        max_length=16, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["state", "leased_until"])]
        constraints = [
            models.UniqueConstraint(fields=["request", "kind"], name="one_delivery_a_kind"),
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="delivery_state_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.request_id}"

    @property
    def next_attempt_at(self) -> datetime | None:
        """When the pause after a failed attempt ends; None if there is no such pause."""
        is_paused = self.state == DeliveryState.PENDING and self.lease is None and self.attempts
        return self.leased_until if is_paused else None

    @property
    def is_failing(self) -> bool:
        """Whether :func:`is_failing` is true for this delivery."""
        failed = self.attempts if self.lease is None else self.attempts - 1
        return self.state == DeliveryState.PENDING and failed >= FAILING_FROM

    @property
    def can_be_retried(self) -> bool:
        """Whether an operator can ask for an attempt now: it failed, or pauses after a failed attempt."""
        return self.state == DeliveryState.FAILED or self.next_attempt_at is not None


class DeliveryAttempt(models.Model):
    """One attempt of a delivery. It has no ``ended_at`` while it runs, or if its worker died."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempt_log")
    number = models.PositiveIntegerField()
    target = models.CharField(max_length=500)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    succeeded = models.BooleanField(default=False)
    outcome = models.CharField(
        max_length=MAX_REASON_LENGTH,
        blank=True,
        help_text="The answer of the supplier's server, or the error.",
    )

    class Meta:
        ordering = ["delivery", "number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="one_attempt_a_number")
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"


class FetchWay(models.TextChoices):
    """How a file was downloaded."""

    SFTP = "sftp", "SFTP"
    LINK = "link", "Signed link"
    PORTAL = "portal", "Portal"


class FileFetch(models.Model):
    """One download of a file, complete or partial: by whom, from where, how, and how many bytes."""

    request = models.ForeignKey(FileRequest, on_delete=models.CASCADE, related_name="fetches")
    way = models.CharField(max_length=16, choices=FetchWay.choices)
    who = models.CharField(
        max_length=200, help_text="The fingerprint of the SSH key, or the user name."
    )
    peer = models.CharField(max_length=64, help_text="The IP address of the client.")
    bytes_sent = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()

    class Meta:
        ordering = ["-started_at"]
        verbose_name = "download"
        indexes = [models.Index(fields=["-started_at"])]

    def __str__(self) -> str:
        return f"{self.way} by {self.who}"


class FileRemoval(models.Model):
    """The removal of a file by its supplier over SFTP: with which key, from where, and when."""

    request = models.OneToOneField(FileRequest, on_delete=models.CASCADE, related_name="removal")
    who = models.CharField(max_length=200, help_text="The fingerprint of the SSH key.")
    peer = models.CharField(max_length=64, help_text="The IP address of the client.")
    at = models.DateTimeField(help_text="The supplier removed the file at this time.")

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["-at"])]

    def __str__(self) -> str:
        return f"removal by {self.who}"
