"""Serializers of the API of file requests."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from exports import file_requests
from exports.delivery.audited_file import DAMAGED
from exports.delivery.links import download_url
from exports.formats import FORMATS
from exports.models import ApiKey, FileRequest, Status
from headend.api.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from readings.columns import format_columns, parse_columns
from readings.page_query import whole_number
from readings.parameters import (
    ColumnsField,
    FileMetersField,
    InstantField,
    StrictSerializer,
    refuse_end_before_start,
)


class FileRequestBody(StrictSerializer):
    """The body of POST /readings/file."""

    start_date = InstantField(help_text="Readings with time >= start_date.")
    end_date = InstantField(
        help_text="Readings with time <= end_date. A date alone means its midnight."
    )
    format = serializers.ChoiceField(
        choices=list(FORMATS),
        default="csv",
        error_messages={
            "invalid_choice": f"format is unknown; it takes one of {', '.join(FORMATS)}."
        },
        help_text="The format of the file.",
    )
    as_of = InstantField(required=False, help_text="Only readings with arrival_time <= as_of.")
    device_id = FileMetersField(
        required=False, help_text="Only readings of these meters: a list of ids, or one id."
    )
    arrived_after = InstantField(
        required=False, help_text="Only readings with arrival_time > arrived_after."
    )
    columns = ColumnsField(
        required=False,
        help_text="The columns of the file, in this order. The default is the ten columns until vltg.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an end before the start."""
        refuse_end_before_start(attrs)
        return attrs


def file_spec(values: dict[str, Any]) -> file_requests.FileSpec:
    """Return what the file contains. ``values`` are the valid values of :class:`FileRequestBody`."""
    return file_requests.FileSpec(
        start=values["start_date"],
        end=values["end_date"],
        format=values["format"],
        as_of=values.get("as_of"),
        arrived_after=values.get("arrived_after"),
        device_ids=values.get("device_id", ()),
        columns=format_columns(values.get("columns", ())),
    )


class RequestIdQuery(StrictSerializer):
    """The query parameter of GET and DELETE /readings/file."""

    request_id = serializers.UUIDField(
        error_messages={
            "invalid": "request_id is not a UUID.",
            "required": "request_id is required: the UUID that POST /readings/file returned.",
        }
    )


class ListQuery(StrictSerializer):
    """The query parameters of GET /readings/files."""

    page = serializers.IntegerField(
        default=1,
        min_value=1,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_string_length"), "page takes a whole number from 1."
        ),
        help_text="The number of the page, from 1.",
    )
    page_size = whole_number(
        "page_size",
        default=DEFAULT_PAGE_SIZE,
        smallest=1,
        largest=MAX_PAGE_SIZE,
        help_text="The largest number of file requests in the page.",
    )


class AcceptedFileRequest(serializers.Serializer[Any]):
    """The response to POST /readings/file."""

    request_id = serializers.UUIDField(help_text="The id of the file request.")
    status = serializers.ChoiceField(Status.choices)


class FileRequestStatus(serializers.Serializer[Any]):
    """The status of a file request. It has only the keys that apply to the status."""

    # It serializes the mapping that `status_of` returns.

    request_id = serializers.UUIDField(help_text="The id of the file request.")
    status = serializers.ChoiceField(Status.choices)
    meters = serializers.IntegerField(
        required=False, help_text="The number of meters that the request names."
    )
    arrived_after = InstantField(
        required=False, help_text="The file has only readings that arrived later, if requested."
    )
    columns = ColumnsField(required=False, help_text="The columns of the file, if requested.")
    record_count = serializers.IntegerField(
        required=False, help_text="The number of readings, from submitted on."
    )
    sftp_location = serializers.CharField(
        required=False,
        help_text="The path of the file in the SFTP home, once completed. Missing if the file has expired, was removed, or is damaged.",
    )
    size = serializers.IntegerField(required=False, help_text="Size of the file in bytes.")
    sha256 = serializers.CharField(
        required=False, help_text="SHA-256 of the file as you fetch it, in hexadecimal."
    )
    download_url = serializers.URLField(
        required=False,
        help_text="A link to the file, valid for one day, or until the API key that created it is revoked. It may redirect: follow redirects.",
    )
    expires_at = InstantField(
        required=False, allow_null=True, help_text="When the file is deleted; null: never."
    )
    progress = serializers.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        help_text="The written share of the readings, while running.",
    )
    reason = serializers.CharField(
        required=False, help_text="Why the request failed, or why its file is not available."
    )

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """Return only the keys of ``instance``. REST framework adds null for others, which here means "never"."""
        values = super().to_representation(instance)
        return {key: value for key, value in values.items() if key in instance}


def status_of(request: FileRequest, api_key: ApiKey | None) -> dict[str, Any]:
    """Return the values of :class:`FileRequestStatus` that a request's status has, with a link made for ``api_key``."""
    values: dict[str, Any] = {"request_id": request.id, "status": request.status}
    if request.meter_count:
        values["meters"] = request.meter_count
    if request.arrived_after:
        values["arrived_after"] = request.arrived_after
    if request.columns:
        values["columns"] = parse_columns(request.columns)
    if request.record_count is not None:
        values["record_count"] = request.record_count
    if request.status == Status.RUNNING:
        values["progress"] = file_requests.progress(request)
    if request.status == Status.FAILED:
        values["reason"] = request.reason
    if request.is_file_damaged:
        values["reason"] = DAMAGED
    if request.has_file:
        values |= {
            "sftp_location": request.location,
            "size": request.size,
            "sha256": request.sha256,
            "download_url": download_url(request, api_key),
            "expires_at": request.expires_at,
        }
    return values
