"""The API of file requests: POST, GET and DELETE /readings/file, and GET /readings/files."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

import exports.schema  # noqa: F401 (drf-spectacular only finds extensions of imported modules)
from exports import file_requests
from exports.delivery.audited_file import DAMAGED
from exports.delivery.links import download_url
from exports.formats import FORMATS
from exports.models import MAX_IDEMPOTENCY_KEY_LENGTH, ApiKey, FileRequest, Status, Supplier
from exports.suppliers.authentication import KEY_REFUSED
from headend.api.errors import Conflict, TooMany, errors
from headend.api.negotiation import IgnoreClientContentNegotiation
from headend.api.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, ListPagination
from readings.parameters import InstantField, StrictSerializer, query_parameters


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

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an end before the start."""
        if attrs["end_date"] < attrs["start_date"]:
            raise ValidationError("end_date is before start_date.")
        return attrs

    def spec(self) -> file_requests.FileSpec:
        """Return what the file shall contain. Call it after ``is_valid``."""
        values = self.validated_data
        return file_requests.FileSpec(
            start=values["start_date"],
            end=values["end_date"],
            format=values["format"],
            as_of=values.get("as_of"),
        )


class RequestIdQuery(StrictSerializer):
    """The query parameter of GET and DELETE /readings/file."""

    request_id = serializers.UUIDField(
        error_messages={
            "invalid": "request_id is not a UUID.",
            "required": "request_id is required: the UUID that the POST answered with.",
        }
    )


class ListQuery(StrictSerializer):
    """The query parameters of GET /readings/files."""

    page = serializers.IntegerField(
        default=1, min_value=1, help_text="The number of the page, from 1."
    )
    page_size = serializers.IntegerField(
        default=DEFAULT_PAGE_SIZE,
        min_value=1,
        max_value=MAX_PAGE_SIZE,
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


_REQUEST_ID = OpenApiParameter(
    "request_id",
    OpenApiTypes.UUID,
    required=True,
    description="The id that the POST answered with.",
)


class FileRequestViewSet(GenericViewSet[FileRequest]):
    """The file requests of the calling supplier. Those of other suppliers answer 404."""

    serializer_class = FileRequestStatus
    pagination_class = ListPagination
    content_negotiation_class = IgnoreClientContentNegotiation
    queryset = FileRequest.objects.none()

    @extend_schema(
        operation_id="request_file",
        tags=["files"],
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="A repeated call with the same key and body returns the same request.",
            )
        ],
        # The parser ignores the Content-Type; the schema names the one to send.
        request={"application/json": FileRequestBody},
        responses={200: AcceptedFileRequest, **errors(409, 413, 429)},
    )
    def create(self, request: Request) -> Response:
        """Request the readings of a window as one file."""
        body = FileRequestBody(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            accepted = file_requests.accept(
                _supplier(request), body.spec(), idempotency_key=_idempotency_key(request)
            )
        except file_requests.SupplierInactiveError:
            raise AuthenticationFailed(KEY_REFUSED) from None
        except file_requests.IdempotencyConflictError as error:
            raise Conflict(str(error)) from None
        except file_requests.QueueFullError as error:
            raise TooMany(str(error)) from None
        values = {"request_id": accepted.id, "status": accepted.status}
        return Response(AcceptedFileRequest(values).data)

    @extend_schema(
        operation_id="file_status",
        tags=["files"],
        parameters=[_REQUEST_ID],
        responses={200: FileRequestStatus, **errors(404)},
    )
    def retrieve(self, request: Request) -> Response:
        """Return the status of a file request, and where its file is."""
        return Response(FileRequestStatus(status_of(self._own(request), _api_key(request))).data)

    @extend_schema(
        operation_id="cancel_file",
        tags=["files"],
        parameters=[_REQUEST_ID],
        responses={200: FileRequestStatus, **errors(404, 409)},
    )
    def destroy(self, request: Request) -> Response:
        """Cancel a file request: it fails with the reason cancelled. A final request answers 409."""
        file_request = self._own(request)
        if not file_requests.cancel(file_request):
            raise Conflict(f"request_id: the request is already {file_request.status}.")
        file_request.refresh_from_db()
        return Response(FileRequestStatus(status_of(file_request, _api_key(request))).data)

    @extend_schema(
        operation_id="list_files",
        tags=["files"],
        parameters=[ListQuery],
        responses={200: FileRequestStatus(many=True), **errors(404)},
    )
    def list(self, request: Request) -> Response:
        """Return the calling supplier's file requests, newest first."""
        ListQuery(data=query_parameters(request)).is_valid(raise_exception=True)
        own = file_requests.with_progress(FileRequest.objects.filter(supplier=_supplier(request)))
        page = self.paginate_queryset(own) or []
        statuses = FileRequestStatus(
            [status_of(each, _api_key(request)) for each in page], many=True
        )
        return self.get_paginated_response(statuses.data)

    def _own(self, request: Request) -> FileRequest:
        query = RequestIdQuery(data=query_parameters(request))
        query.is_valid(raise_exception=True)
        request_id: uuid.UUID = query.validated_data["request_id"]
        own = FileRequest.objects.filter(supplier=_supplier(request), pk=request_id).first()
        if own is None:
            raise Http404
        return own


def _supplier(request: Request) -> Supplier:
    supplier = request.user
    assert isinstance(supplier, Supplier)  # set by ApiKeyAuthentication
    return supplier


def _api_key(request: Request) -> ApiKey | None:
    """Return the API key of the call; None for a call without one, as ``HEADEND_ANONYMOUS_SUPPLIER``."""
    key: Any = request.auth
    assert key is None or isinstance(key, ApiKey)  # set by ApiKeyAuthentication
    return key


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_IDEMPOTENCY_KEY_LENGTH or not key.isprintable():
        raise ValidationError(
            f"Idempotency-Key takes at most {MAX_IDEMPOTENCY_KEY_LENGTH} printable characters."
        )
    return key
