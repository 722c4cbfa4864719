"""The errors that API views raise and document, in the contract's form: ``{"error": "<one sentence>"}``."""

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
            child=serializers.CharField(), required=False, help_text="Where several are wrong."
        ),
    },
)


def errors(*own: int) -> dict[int, Any]:
    """An operation's errors for the schema: those that every operation has, and its ``own``."""
    return dict.fromkeys((400, 401, 405, 503, *own), ErrorBody)


class Conflict(APIException):
    """The request contradicts an earlier one."""

    status_code = 409


class TooMany(APIException):
    """The caller has to wait."""

    status_code = 429
    wait = 30
