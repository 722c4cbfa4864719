"""How the OpenAPI schema describes the authentication of suppliers, and the links between file requests."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from headend.api.openapi import OperationText, Schema, add_links, add_texts


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """An API key in one of two headers. The first scheme is the one that most clients know."""

    target_class = "exports.suppliers.authentication.ApiKeyAuthentication"
    name = ["bearer", "apiKey", "token"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Return one requirement for each scheme: two in one entry would mean that both are required."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        """Return the definition of each scheme."""
        return [
            {"type": "http", "scheme": "bearer", "description": "The API key."},
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": "The API key.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Token <API key>`, or the API key alone.",
            },
        ]


_STATUS, _CANCEL = (
    {"operationId": operation, "parameters": {"request_id": "$response.body#/request_id"}}
    for operation in ("file_status", "cancel_file")
)
_STATUS_OF_NEWEST = {
    "operationId": "file_status",
    "parameters": {"request_id": "$response.body#/results/0/request_id"},
}
_LINKS: dict[str, Schema] = {
    "request_file": {"status": _STATUS, "cancel": _CANCEL},
    "file_status": {"status": _STATUS, "cancel": _CANCEL},
    "cancel_file": {"status": _STATUS, "cancel": _CANCEL},
    "list_files": {"status": _STATUS_OF_NEWEST},
}


def add_file_links(result: Schema, **_: Any) -> Schema:
    """Return the schema with the links of the operations on file requests."""
    return add_links(result, _LINKS)


_ID = "cbbf6adf-dd0d-4d4d-b78e-5c48d9cbdcf1"
COMPLETED = {
    "request_id": _ID,
    "status": "completed",
    "record_count": 300_000,
    "sftp_location": f"{_ID}/run-1795433868769-part-r-00000.gz",
    "size": 11_711_163,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "download_url": f"https://headend.example/download/{_ID}/run-1795433868769-part-r-00000.gz?signature=1wCdEf:Zm9vYmFy",
    "expires_at": "2026-12-23 12:00:00.000000",
}
"""An example of the status of a completed file request."""
_REQUEST_ID = {"request_id": _ID}
_NO_UUID = "request_id is not a UUID."
_TEXTS = {
    "request_file": OperationText(
        summary="Request the readings of a window as one file",
        success="The file request is accepted. Poll its status.",
        response={"request_id": _ID, "status": "queued"},
        body={"start_date": "2026-11-23 11:00", "end_date": "2026-11-23 11:55", "format": "csv"},
        parameters={"Idempotency-Key": "november-23"},
        errors={
            400: "end_date is before start_date.",
            413: "The body is larger than 2048 KiB.",
            409: "Idempotency-Key was used before with another body.",
            429: "500 file requests are queued already; wait for some to run.",
        },
    ),
    "file_status": OperationText(
        summary="Get the status of a file request",
        success="The status, and the location of the file once the request is completed.",
        response=COMPLETED,
        parameters=_REQUEST_ID,
        errors={400: _NO_UUID},
    ),
    "cancel_file": OperationText(
        summary="Cancel a file request that is not final",
        success="The file request is cancelled.",
        response={"request_id": _ID, "status": "failed", "reason": "cancelled"},
        parameters=_REQUEST_ID,
        errors={400: _NO_UUID, 409: "request_id: the request is already completed."},
    ),
    "list_files": OperationText(
        summary="List your file requests, newest first",
        success="One page of file requests.",
        response={"count": 1, "next": None, "previous": None, "results": [COMPLETED]},
        parameters={"page": 1, "page_size": 50},
        errors={
            400: "page takes a whole number from 1.",
            404: "page: there is no page 3; follow next until it is null.",
        },
    ),
}


def add_file_texts(result: Schema, **_: Any) -> Schema:
    """Return the schema with summaries, descriptions and examples of the operations on file requests."""
    return add_texts(result, _TEXTS)
