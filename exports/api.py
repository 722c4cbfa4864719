"""The API of file requests: POST, GET and DELETE /readings/file, and GET /readings/files."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import AuthenticationFailed, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

import exports.schema  # noqa: F401 (drf-spectacular only finds extensions of imported modules)
from exports import file_requests
from exports.models import MAX_IDEMPOTENCY_KEY_LENGTH, ApiKey, FileRequest, Supplier
from exports.serializers import (
    AcceptedFileRequest,
    FileRequestBody,
    FileRequestStatus,
    ListQuery,
    RequestIdQuery,
    file_spec,
    status_of,
)
from exports.suppliers.authentication import KEY_REFUSED
from headend.api.errors import Conflict, TooMany, errors
from headend.api.negotiation import IgnoreClientContentNegotiation
from headend.api.pagination import ListPagination
from headend.api.parsers import MeterListParser
from readings.parameters import query_parameters

_REQUEST_ID = OpenApiParameter(
    "request_id",
    OpenApiTypes.UUID,
    required=True,
    description="The id that POST /readings/file returned.",
)


class FileRequestViewSet(GenericViewSet[FileRequest]):
    """The file requests of the calling supplier. Those of other suppliers answer 404."""

    serializer_class = FileRequestStatus
    parser_classes = [MeterListParser]
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
        """Request the readings of a window as one file.

        The body may name 50,000 meters.
        """
        spec = file_spec(FileRequestBody().valid(request.data))
        try:
            accepted = file_requests.accept(
                _supplier(request), spec, idempotency_key=_idempotency_key(request)
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
        try:
            return FileRequest.objects.get(supplier=_supplier(request), pk=request_id)
        except FileRequest.DoesNotExist:
            raise NotFound("request_id: you have no file request with this id.") from None


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
