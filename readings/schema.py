"""How the OpenAPI schema describes the parameters and results of ``readings.parameters`` and ``readings.api``.

``readings.api`` imports this module, and drf-spectacular then finds the extensions by their base class.
The settings name :func:`add_readings_links` as a postprocessing hook, which imports it.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)

from headend.api.openapi import Schema, add_links

_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOURS_AND_MINUTES = "([01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK = rf"{_HOURS_AND_MINUTES}(:[0-5][0-9](\.[0-9]{{0,9}})?)?"
_ZONE = "(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

INSTANT_PATTERN = f"{_DAY}([ T]{_CLOCK}{_ZONE}?)?"
"""Every form of an instant that a parameter accepts. Some matches are not dates, such as 2023-02-30."""
CANONICAL_INSTANT_PATTERN = rf"{_DAY} {_HOURS_AND_MINUTES}:[0-5][0-9]\.[0-9]{{6}}"
"""The one form of an instant in responses."""


class InstantExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # registers by a metaclass without types
    """Describes ``InstantField`` as text with a pattern."""

    target_class = "readings.parameters.InstantField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the pattern of all accepted forms for a request, of the canonical form for a response."""
        pattern = INSTANT_PATTERN if direction == "request" else CANONICAL_INSTANT_PATTERN
        return {
            "type": "string",
            "pattern": f"^{pattern}$",
            "example": "2023-02-27 16:00:00.000000",
        }


class DeviceIdExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # as above
    """Describes ``DeviceIdField`` as a UUID."""

    target_class = "readings.parameters.DeviceIdField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the schema of a UUID."""
        return {"type": "string", "format": "uuid"}


class PositionExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # as above
    """Describes ``PositionField`` as ``<instant>,<device id>``."""

    target_class = "readings.parameters.PositionField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the pattern of an instant, a comma and a UUID."""
        return {"type": "string", "pattern": f"^{INSTANT_PATTERN},{_UUID}$"}


class StrictSerializerExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # as above
    """Declares that objects of a ``StrictSerializer`` have no other properties than the named ones."""

    target_class = "readings.parameters.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> Schema:
        """Return drf-spectacular's own schema of the serializer, closed against unknown properties."""
        mapped: Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return mapped | {"additionalProperties": False}


_LAST_OFFSET = "$response.body#/results/last_offset"
_LINKS: dict[str, Schema] = {
    "readings": {
        "next_page": {
            "operationId": "readings",
            "parameters": {"start_date": "$request.query.start_date", "offset": _LAST_OFFSET},
        }
    },
    "query_readings": {
        "next_page": {
            "operationId": "query_readings",
            "parameters": {"offset": _LAST_OFFSET},
            "requestBody": "$request.body",
        }
    },
}


def add_readings_links(result: Schema, **_: Any) -> Schema:
    """Return the schema with the link from a page of readings to the next one."""
    return add_links(result, _LINKS)
