"""Suppliers and their keys, what they asked for, and the rules the database holds for it.

Statuses are only ever written by :mod:`exports.transitions`.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from exports.credentials import fingerprint, normalised_public_key


class Supplier(models.Model):
    """A company that reads the API and fetches files; its name is its SFTP user name."""

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                r"^[a-z][a-z0-9_-]*\Z",
                "Use lower-case letters, digits, - and _; begin with a letter.",
            )
        ],
        help_text="Also the SFTP user name.",
    )
    active = models.BooleanField(
        default=True, help_text="An inactive supplier is refused by the API and by SFTP."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_authenticated(self) -> bool:
        """A supplier stands where DRF expects a user; one that was identified is authenticated."""
        return True


class ApiKey(models.Model):
    """A key of the REST API. Only its hash is kept; the key itself is shown once, when it is made."""

    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="api_keys")
    label = models.CharField(max_length=64, blank=True)
    prefix = models.CharField(max_length=16, editable=False, help_text="How the key begins.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"
        verbose_name_plural = "API keys"

    def __str__(self) -> str:
        return f"{self.prefix}…"


class SshKey(models.Model):
    """A public key that opens the supplier's SFTP home."""

    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="ssh_keys")
    label = models.CharField(max_length=64, blank=True)
    public_key = models.TextField(
        help_text="One line as in authorized_keys: ssh-rsa, ssh-ed25519 or ecdsa-sha2-nistp256/384/521."
    )
    fingerprint = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "SSH key"
        verbose_name_plural = "SSH keys"
        constraints = [
            models.UniqueConstraint(
                fields=["supplier", "fingerprint"], name="one_ssh_key_a_supplier"
            )
        ]

    def __str__(self) -> str:
        return self.fingerprint

    def clean(self) -> None:
        """Refuse what is no public key; keep the key without its comment."""
        try:
            self.public_key = normalised_public_key(self.public_key)
        except ValueError as error:
            raise ValidationError({"public_key": str(error)}) from None
        self.fingerprint = fingerprint(self.public_key)


class Status(models.TextChoices):
    """The life of a file request: never backwards, never out of a final state."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


ACTIVE = frozenset({Status.QUEUED, Status.SUBMITTED, Status.RUNNING})
FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.SKIPPED})


class FileRequest(models.Model):
    """A supplier's request for the readings of a window as one file."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    supplier = models.ForeignKey(Supplier, on_delete=models.PROTECT, related_name="file_requests")
    start = models.DateTimeField()
    end = models.DateTimeField()
    as_of = models.DateTimeField(
        null=True, blank=True, help_text="Readings that arrived later are left out."
    )
    format = models.CharField(max_length=16, default="csv")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(max_length=500, blank=True)

    snapshot = models.CharField(max_length=200, blank=True, editable=False)
    record_count = models.BigIntegerField(null=True, blank=True)
    location = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes.")
    sha256 = models.CharField(max_length=64, blank=True)

    queued_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    running_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)

    attempts = models.PositiveIntegerField(default=0, editable=False)
    lease = models.UUIDField(null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    idempotency_key = models.CharField(max_length=200, blank=True, editable=False)
    idempotency_digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ["-queued_at"]
        indexes = [
            models.Index(fields=["-queued_at"]),
            models.Index(fields=["supplier", "-queued_at"]),
            models.Index(fields=["status", "leased_until"]),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="file_request_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(end__gte=F("start")), name="file_request_end_follows_start"
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.COMPLETED)
                | (
                    ~Q(location="")
                    & ~Q(sha256="")
                    & Q(size__isnull=False, record_count__isnull=False, finished_at__isnull=False)
                ),
                name="completed_file_request_has_its_file",
            ),
            models.UniqueConstraint(
                fields=["supplier", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="one_file_request_an_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_final(self) -> bool:
        """Whether the request can change no more."""
        return self.status in FINAL

    @property
    def took(self) -> timedelta | None:
        """From asked for to final."""
        return self.finished_at - self.queued_at if self.finished_at else None

    @property
    def has_file(self) -> bool:
        """Whether there is a file to fetch."""
        return self.status == Status.COMPLETED and self.expired_at is None


class PartState(models.TextChoices):
    """The life of a part: pending until a worker has written it."""

    PENDING = "pending"
    WRITTEN = "written"


class ExportPart(models.Model):
    """A stretch of a file request's window that one worker writes; parts in order make the file."""

    request = models.ForeignKey(FileRequest, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    start = models.DateTimeField()
    end = models.DateTimeField()
    record_count = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=PartState.choices, default=PartState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    records_done = models.BigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    path = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True, help_text="Bytes, deflated.")
    plain_size = models.BigIntegerField(null=True, help_text="Bytes, before deflating.")
    crc32 = models.BigIntegerField(null=True, help_text="Of the bytes before deflating.")

    started_at = models.DateTimeField(null=True, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["request", "number"]
        constraints = [
            models.UniqueConstraint(fields=["request", "number"], name="one_part_a_number"),
            models.CheckConstraint(
                condition=~Q(state=PartState.WRITTEN)
                | (
                    ~Q(path="")
                    & Q(size__isnull=False, plain_size__isnull=False, crc32__isnull=False)
                ),
                name="written_part_has_its_bytes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id} part {self.number}"
