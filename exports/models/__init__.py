"""The tables of suppliers, their file requests, and the delivery of their files."""

from __future__ import annotations

from exports.models.deliveries import (
    FAILING_FROM,
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    DeliveryState,
    FetchWay,
    FileFetch,
    FileRemoval,
    is_failing,
)
from exports.models.file_requests import (
    ACTIVE,
    FINAL,
    HAS_FILE,
    IS_FILE_DAMAGED,
    IS_FILE_KEPT,
    IS_FILE_UNREADABLE,
    MAX_IDEMPOTENCY_KEY_LENGTH,
    MAX_REASON_LENGTH,
    PLANNED,
    ExportPart,
    FileRequest,
    FileVerification,
    PartState,
    Status,
)
from exports.models.meter_lists import SEPARATOR, MeterList
from exports.models.people import SupplierPerson
from exports.models.sessions import SftpSession
from exports.models.suppliers import (
    ApiKey,
    FolderLayout,
    PushTarget,
    SshKey,
    Supplier,
    TemporaryName,
    Webhook,
)

__all__ = [
    "ACTIVE",
    "FAILING_FROM",
    "FINAL",
    "HAS_FILE",
    "IS_FILE_DAMAGED",
    "IS_FILE_KEPT",
    "IS_FILE_UNREADABLE",
    "MAX_IDEMPOTENCY_KEY_LENGTH",
    "MAX_REASON_LENGTH",
    "PLANNED",
    "SEPARATOR",
    "ApiKey",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryKind",
    "DeliveryState",
    "ExportPart",
    "FetchWay",
    "FileFetch",
    "FileRemoval",
    "FileRequest",
    "FileVerification",
    "FolderLayout",
    "MeterList",
    "PartState",
    "PushTarget",
    "SftpSession",
    "SshKey",
    "Status",
    "Supplier",
    "SupplierPerson",
    "TemporaryName",
    "Webhook",
    "is_failing",
]
