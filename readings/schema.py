"""What the OpenAPI schema leaves out, and what it says beside the views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)

Endpoint = tuple[str, str, str, Callable[..., Any]]
Schema = dict[str, Any]


_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOURS_AND_MINUTES = "([01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK = rf"{_HOURS_AND_MINUTES}(:[0-5][0-9](\.[0-9]{{0,9}})?)?"
_ZONE = "(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
INSTANT = f"{_DAY}([ T]{_CLOCK}{_ZONE}?)?"
"""The forms of a date that are understood; not every day that looks like one exists."""
CANONICAL = rf"{_DAY} {_HOURS_AND_MINUTES}:[0-5][0-9]\.[0-9]{{6}}"
"""The one form of a date that is answered."""
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def without_closing_slashes(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Each operation once: those with a closing slash are the same again."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]


class Instant(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # registers by a metaclass without types
    """Dates as the contract writes them."""

    target_class = "readings.parameters.InstantField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Any form where it is asked, the canonical one where it is answered."""
        pattern = INSTANT if direction == "request" else CANONICAL
        return {
            "type": "string",
            "pattern": f"^{pattern}$",
            "example": "2023-02-27 16:00:00.000000",
        }


class Meter(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # as above
    """Device ids."""

    target_class = "readings.parameters.MeterField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """A UUID."""
        return {"type": "string", "format": "uuid"}


class NextPosition(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # as above
    """Where a next link goes on."""

    target_class = "readings.parameters.PositionField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """A date and a device id."""
        return {"type": "string", "pattern": f"^{INSTANT},{_UUID}$"}


class StrictObject(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # registers by a metaclass without types
    """Bodies that are refused when they hold what is not known."""

    target_class = "readings.parameters.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> Schema:
        """As drf-spectacular's own, closed."""
        mapped: Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return mapped | {"additionalProperties": False}


_NEXT_PAGE = {
    "operationId": "readings",
    "parameters": {
        "start_date": "$request.query.start_date",
        "offset": "$response.body#/results/last_offset",
    },
}
_STATUS, _CANCEL = (
    {"operationId": operation, "parameters": {"request_id": "$response.body#/request_id"}}
    for operation in ("file_status", "cancel_file")
)
_STATUS_OF_NEWEST = {
    "operationId": "file_status",
    "parameters": {"request_id": "$response.body#/results/0/request_id"},
}
LINKS: dict[str, Schema] = {
    "readings": {"next_page": _NEXT_PAGE},
    "request_file": {"status": _STATUS, "cancel": _CANCEL},
    "file_status": {"status": _STATUS, "cancel": _CANCEL},
    "cancel_file": {"status": _STATUS, "cancel": _CANCEL},
    "list_files": {"status": _STATUS_OF_NEWEST},
}
"""Where a good answer of an operation leads, by operation id."""


def with_links(result: Schema, **_: Any) -> Schema:
    """The schema with :data:`LINKS`, which drf-spectacular has no place for."""
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"]["200"]["links"] = LINKS[operation["operationId"]]
    return result
