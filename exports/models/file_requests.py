"""File requests and their parts, with the rules that the database enforces.

Only :mod:`exports.pipeline.transitions` writes ``FileRequest.status`` and ``ExportPart.state``.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import F, Q

from exports.leases.model import Leased
from exports.models.meter_lists import MeterList
from exports.models.suppliers import Supplier


class Status(models.TextChoices):
    """The status of a file request. It only moves forward, and a final status never changes."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


ACTIVE = frozenset({Status.QUEUED, Status.SUBMITTED, Status.RUNNING})
PLANNED = frozenset({Status.SUBMITTED, Status.RUNNING})
"""The active statuses in which a request has its parts."""
FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.SKIPPED})
MAX_REASON_LENGTH = 500
"""The maximum length of a reason or an error. Longer texts are cut before they are stored."""
MAX_IDEMPOTENCY_KEY_LENGTH = 200
IS_FILE_KEPT = Q(status=Status.COMPLETED, expired_at__isnull=True)
"""The condition of :attr:`FileRequest.is_file_kept` for a query."""
HAS_FILE = IS_FILE_KEPT & Q(damaged_at__isnull=True)
"""The condition of :attr:`FileRequest.has_file` for a query."""
IS_FILE_DAMAGED = IS_FILE_KEPT & Q(damaged_at__isnull=False)
"""The condition of :attr:`FileRequest.is_file_damaged` for a query."""
IS_FILE_UNREADABLE = HAS_FILE & Q(verify_after__isnull=False)
"""The condition of :attr:`FileRequest.is_file_unreadable` for a query."""


class FileRequest(Leased):
    """A supplier's request for the readings of a window as one file."""

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    supplier = models.ForeignKey(Supplier, on_delete=models.PROTECT, related_name="file_requests")
    start = models.DateTimeField()
    end = models.DateTimeField()
    as_of = models.DateTimeField(
        null=True, blank=True, help_text="Readings with a later arrival time are not in the file."
    )
    arrived_after = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Only readings with a later arrival time are in the file.",
    )
    meter_list = models.ForeignKey(
        MeterList,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="file_requests",
        help_text="Empty means all meters.",
    )
    meter_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="The length of the list of meters."
    )
    columns = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="The columns of the file, separated by commas; empty means those of the contract.",
    )
    format = models.CharField(max_length=16, default="csv")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(max_length=MAX_REASON_LENGTH, blank=True)

    snapshot = models.CharField(max_length=200, blank=True, editable=False)
    record_count = models.BigIntegerField(null=True, blank=True)
    location = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes.")
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)

    queued_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    running_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    priority_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Workers write the parts of the request with the earliest time first.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the expired file was deleted from the export store."
    )

    verified_at = models.DateTimeField(
        null=True, blank=True, help_text="When the checksum of the stored file was last compared."
    )
    damaged_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when the stored file is known to be damaged."
    )
    damage = models.CharField(
        max_length=MAX_REASON_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="What is wrong with the stored file.",
    )
    verify_after = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the stored file is verified again, if it is damaged or could not be read.",
    )

    idempotency_key = models.CharField(
        max_length=MAX_IDEMPOTENCY_KEY_LENGTH, blank=True, editable=False
    )
    idempotency_digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ["-queued_at"]
        indexes = [
            models.Index(fields=["-queued_at"]),
            models.Index(fields=["supplier", "-queued_at"]),
            models.Index(fields=["status", "leased_until"]),
            models.Index(
                fields=["expires_at"],
                condition=Q(status=Status.COMPLETED, removed_at__isnull=True),
                name="files_to_expire",
            ),
            models.Index(
                fields=["verified_at"],
                condition=Q(status=Status.COMPLETED, expired_at__isnull=True),
                name="files_to_verify",
            ),
            models.Index(
                fields=["damaged_at"],
                condition=Q(damaged_at__isnull=False),
                name="damaged_files",
            ),
            models.Index(
                fields=["verify_after"],
                condition=Q(verify_after__isnull=False),
                name="files_to_verify_again",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="file_request_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(end__gte=F("start")), name="file_request_end_follows_start"
            ),
            models.CheckConstraint(
                condition=Q(meter_list__isnull=True, meter_count=0)
                | Q(meter_list__isnull=False, meter_count__gt=0),
                name="file_request_counts_its_meters",
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
    def device_ids(self) -> tuple[str, ...]:
        """The meters whose readings are requested, ascending; empty means all. Takes a query if it is not empty."""
        return self.meter_list.split() if self.meter_list else ()

    @property
    def is_final(self) -> bool:
        """Whether the request has a final status."""
        return self.status in FINAL

    @property
    def duration(self) -> timedelta | None:
        """The time from the request until its final status; None while it is active."""
        return self.finished_at - self.queued_at if self.finished_at else None

    @property
    def has_file(self) -> bool:
        """Whether the request has a file that can be downloaded: one that has not expired and is not damaged."""
        return self.is_file_kept and self.damaged_at is None

    @property
    def is_file_kept(self) -> bool:
        """Whether the request's file must stay in the export store, even if it is damaged."""
        return self.status == Status.COMPLETED and self.expired_at is None

    @property
    def is_file_damaged(self) -> bool:
        """Whether the file is damaged. Then it cannot be downloaded."""
        return self.is_file_kept and self.damaged_at is not None

    @property
    def is_file_unreadable(self) -> bool:
        """Whether the last verification could not read the file. It can be downloaded if it can be read again."""
        return self.has_file and self.verify_after is not None

    @property
    def is_file_removed(self) -> bool:
        """Whether the supplier removed the file. Takes a query, unless ``removal`` was selected too."""
        return self.expired_at is not None and hasattr(self, "removal")


class FileVerification(Leased):
    """The lease of the task that verifies stored files. The table has one row, so only one worker does it at a time."""

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="one_file_verification"),
        ]

    def __str__(self) -> str:
        return "verification of stored files"


class PartState(models.TextChoices):
    """``pending`` until a worker has written the part to the export store."""

    PENDING = "pending"
    WRITTEN = "written"


class ExportPart(Leased):
    """A chunk of a file request's window, which one worker writes. The parts in order make the file."""

    request = models.ForeignKey(FileRequest, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    start = models.DateTimeField()
    end = models.DateTimeField()
    record_count = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=PartState.choices, default=PartState.PENDING)
    records_done = models.BigIntegerField(default=0)
    error = models.CharField(max_length=MAX_REASON_LENGTH, blank=True)

    path = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True, help_text="Bytes.")
    format_state = models.JSONField(
        null=True, help_text="What the file format needs to know about the part when it is joined."
    )

    started_at = models.DateTimeField(null=True, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["request", "number"]
        indexes = [
            # Every step searches the pending parts. Written parts are never deleted, so they are many.
            models.Index(
                fields=["leased_until"],
                condition=Q(state=PartState.PENDING),
                name="pending_parts",
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["request", "number"], name="one_part_a_number"),
            models.CheckConstraint(
                condition=~Q(state=PartState.WRITTEN)
                | (~Q(path="") & Q(size__isnull=False, format_state__isnull=False)),
                name="written_part_has_its_bytes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id} part {self.number}"
