"""How the OpenAPI schema describes the webhook that headend calls when a file request is final."""

from __future__ import annotations

from typing import Any

from exports.schema import COMPLETED
from headend.api.openapi import Schema

_PROPERTIES: dict[str, Schema] = {
    "delivery_id": {
        "type": "string",
        "format": "uuid",
        "description": "The same in every attempt of one delivery.",
    },
    "request_id": {"type": "string", "format": "uuid"},
    "status": {"type": "string", "enum": ["completed", "failed", "skipped"]},
    "record_count": {
        "type": ["integer", "null"],
        "description": "The number of readings; null if they were not counted.",
    },
    "sftp_location": {
        "type": ["string", "null"],
        "description": "The path of the file in the SFTP home; null if there is no file.",
    },
    "size": {
        "type": ["integer", "null"],
        "description": "Size of the file in bytes; null if there is no file.",
    },
    "sha256": {
        "type": ["string", "null"],
        "description": "SHA-256 of the file, in hexadecimal; null if there is no file.",
    },
    "reason": {"type": ["string", "null"], "description": "Why the request failed."},
}
_EVENT = {
    "type": "object",
    "description": "The final status of a file request.",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
}
_TEST_EVENT = {
    "type": "object",
    "description": "A test event, which an operator sends.",
    "properties": {"test": {"type": "boolean", "const": True}},
    "required": ["test"],
}
_DELIVERY_ID = "6f0b4a3e-4f43-4c6e-9f0c-0f3f3b8f5f10"
_HEADERS = {
    "webhook-id": ("Ignore a call whose id you have already handled.", _DELIVERY_ID),
    "webhook-timestamp": ("Seconds since 1970.", "1795433870"),
    "webhook-signature": (
        "`v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}
_OPERATION = {
    "operationId": "file_request_final",
    "summary": "A file request is final",
    "description": (
        "headend POSTs this event to the URL that the operator entered, signed by the Standard Webhooks scheme. "
        "Any 2xx answer within 10 seconds counts as delivered. A failed call is retried for about nine hours."
    ),
    "tags": ["files"],
    "security": [],
    "parameters": [
        {
            "in": "header",
            "name": name,
            "required": True,
            "schema": {"type": "string"},
            "description": description,
            "example": example,
        }
        for name, (description, example) in _HEADERS.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/WebhookEvent"},
                        {"$ref": "#/components/schemas/WebhookTestEvent"},
                    ]
                },
                "examples": {
                    "completed": {
                        "summary": "A completed file request",
                        "value": {
                            "delivery_id": _DELIVERY_ID,
                            **{name: COMPLETED[name] for name in COMPLETED if name in _PROPERTIES},
                            "reason": None,
                        },
                    },
                    "test": {"summary": "A test event", "value": {"test": True}},
                },
            }
        },
    },
    "responses": {
        "2XX": {"description": "The event is delivered."},
        "4XX": {"description": "The call failed and is retried."},
        "5XX": {"description": "The call failed and is retried."},
    },
}


def add_webhook(result: Schema, **_: Any) -> Schema:
    """Return the schema with the webhook and the schemas of its two events."""
    result["components"]["schemas"] |= {"WebhookEvent": _EVENT, "WebhookTestEvent": _TEST_EVENT}
    result["webhooks"] = {"file_request_final": {"post": _OPERATION}}
    return result
