"""The API's errors: their form in the OpenAPI schema, and exceptions that DRF does not have.

Every error response is a JSON object ``{"error": "<one sentence>"}``.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import APIException

ErrorBody = inline_serializer(
    "Error",
    {
        "error": serializers.CharField(help_text="One sentence that names the parameter."),
        "fields": serializers.DictField(
            child=serializers.CharField(),
            required=False,
            help_text="The problems by parameter, if more than one parameter is wrong.",
        ),
    },
)


def errors(*additional: int) -> dict[int, Any]:
    """Return an operation's error responses for the OpenAPI schema, by status code.

    Every operation can answer 400, 401, 405 and 503. ``additional`` are the further codes of this operation.
    """
    return dict.fromkeys((400, 401, 405, 503, *additional), ErrorBody)


class Conflict(APIException):
    """409: the request contradicts an earlier request or the state of the resource."""

    status_code = 409


class TooMany(APIException):
    """429: the caller has to wait for ``wait`` seconds, which are sent as ``Retry-After``."""

    status_code = 429
    wait = 30
