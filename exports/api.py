"""POST, GET and DELETE /readings/file, GET /readings/files: a supplier's file requests."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from exports import file_requests
from exports.delivery.links import download_url
from exports.formats import FORMATS
from exports.models import FileRequest, Status, Supplier
from headend.api.errors import Conflict, TooMany, errors
from headend.api.negotiation import IgnoreClientContentNegotiation
from headend.api.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, ListPagination
from readings.parameters import InstantField, StrictSerializer, query_parameters

KEY_LENGTH = 200


class OrderBody(StrictSerializer):
    """The body of a POST."""

    start_date = InstantField(help_text="The first time wanted; inclusive.")
    end_date = InstantField(help_text="The last time wanted; inclusive.")
    format = serializers.ChoiceField(
        choices=list(FORMATS),
        default="csv",
        error_messages={
            "invalid_choice": f"format is unknown; it takes one of {', '.join(FORMATS)}."
        },
    )
    as_of = InstantField(required=False, help_text="Leaves out what arrived later.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The dates stand in order."""
        if attrs["end_date"] < attrs["start_date"]:
            raise ValidationError("end_date is before start_date.")
        return attrs


class RequestIdQuery(StrictSerializer):
    """The one parameter of GET and DELETE."""

    request_id = serializers.UUIDField(
        error_messages={
            "invalid": "request_id is not a UUID.",
            "required": "request_id is required: the UUID that the POST answered with.",
        }
    )


class ListQuery(StrictSerializer):
    """The parameters of the list."""

    page = serializers.IntegerField(default=1, min_value=1)
    page_size = serializers.IntegerField(
        default=DEFAULT_PAGE_SIZE, min_value=1, max_value=MAX_PAGE_SIZE
    )


class FileRequestStatus(serializers.ModelSerializer[FileRequest]):
    """How far a request is; what is not known yet is left out."""

    request_id = serializers.UUIDField(source="id")
    sftp_location = serializers.CharField(source="location", required=False)
    progress = serializers.FloatField(required=False, min_value=0, max_value=1)
    download_url = serializers.URLField(required=False)
    expires_at = InstantField(required=False, allow_null=True)

    class Meta:
        model = FileRequest
        fields = [
            "request_id",
            "status",
            "record_count",
            "sftp_location",
            "size",
            "sha256",
            "download_url",
            "expires_at",
            "progress",
            "reason",
        ]
        extra_kwargs = {
            name: {"required": False, "allow_null": False}
            for name in ("record_count", "size", "sha256", "reason")
        } | {"status": {"required": True}}

    def to_representation(self, instance: FileRequest) -> dict[str, Any]:
        """The contract's keys, each from the state on that has it."""
        shown: dict[str, Any] = {"request_id": str(instance.id), "status": instance.status}
        if instance.record_count is not None:
            shown["record_count"] = instance.record_count
        if instance.status == Status.RUNNING:
            shown["progress"] = file_requests.progress(instance)
        if instance.status == Status.FAILED:
            shown["reason"] = instance.reason
        if instance.has_file:
            expires = instance.expires_at
            shown |= {
                "sftp_location": instance.location,
                "size": instance.size,
                "sha256": instance.sha256,
                "download_url": download_url(instance),
                "expires_at": InstantField().to_representation(expires) if expires else None,
            }
        return shown


_REQUEST_ID = OpenApiParameter("request_id", OpenApiTypes.UUID, required=True)
_ACCEPTED = inline_serializer(
    "AcceptedFileRequest",
    {"request_id": serializers.UUIDField(), "status": serializers.ChoiceField(Status.choices)},
)


class FileRequestViewSet(GenericViewSet[FileRequest]):
    """A supplier's file requests; another supplier's do not exist here."""

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
                description="The same key and body answer with the same request.",
            )
        ],
        # Any Content-Type will do; this is the one to send.
        request={"application/json": OrderBody},
        responses={200: _ACCEPTED, **errors(409, 413, 429)},
    )
    def create(self, request: Request) -> Response:
        """Ask for the readings of a window as one file, fetched over SFTP once it is completed."""
        body = OrderBody(data=request.data)
        body.is_valid(raise_exception=True)
        order = file_requests.FileSpec(
            start=body.validated_data["start_date"],
            end=body.validated_data["end_date"],
            format=body.validated_data["format"],
            as_of=body.validated_data.get("as_of"),
        )
        try:
            accepted = file_requests.accept(
                _supplier(request), order, idempotency_key=_idempotency_key(request)
            )
        except file_requests.IdempotencyConflictError as error:
            raise Conflict(str(error)) from None
        except file_requests.QueueFullError as error:
            raise TooMany(str(error)) from None
        return Response({"request_id": str(accepted.id), "status": accepted.status})

    @extend_schema(
        operation_id="file_status",
        tags=["files"],
        parameters=[_REQUEST_ID],
        responses={200: FileRequestStatus, **errors(404)},
    )
    def retrieve(self, request: Request) -> Response:
        """How far a file request is, and where its file lies."""
        return Response(FileRequestStatus(self._own(request)).data)

    @extend_schema(
        operation_id="cancel_file",
        tags=["files"],
        parameters=[_REQUEST_ID],
        responses={200: FileRequestStatus, **errors(404, 409)},
    )
    def destroy(self, request: Request) -> Response:
        """Cancel a request that is not final; it ends failed, reason cancelled. 409 when it is final."""
        file_request = self._own(request)
        if not file_requests.cancel(file_request):
            raise Conflict(f"request_id: the request is {file_request.status} already.")
        file_request.refresh_from_db()
        return Response(FileRequestStatus(file_request).data)

    @extend_schema(
        operation_id="list_files",
        tags=["files"],
        parameters=[ListQuery],
        responses={200: FileRequestStatus(many=True), **errors(404)},
    )
    def list(self, request: Request) -> Response:
        """One's own file requests, newest first."""
        ListQuery(data=query_parameters(request)).is_valid(raise_exception=True)
        own = FileRequest.objects.filter(supplier=_supplier(request))
        page = self.paginate_queryset(own)
        return self.get_paginated_response(FileRequestStatus(page, many=True).data)

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
    assert isinstance(supplier, Supplier)  # what ApiKeyAuthentication gives
    return supplier


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > KEY_LENGTH or not key.isprintable():
        raise ValidationError(f"Idempotency-Key takes at most {KEY_LENGTH} printable characters.")
    return key
