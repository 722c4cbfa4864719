"""A caller's parameters, checked at the door."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.settings import api_settings

from readings.frame import format_instant, parse_instant
from readings.window import Position


class InstantField(serializers.CharField):
    """A date in any form of the contract; the value is an instant in UTC."""

    default_error_messages = {
        "blank": "{name} is empty; it takes a date like 2023-02-27 16:00:00.000000.",
        "null": "{name} is null; it takes a date like 2023-02-27 16:00:00.000000.",
        "required": "{name} is required: a date like 2023-02-27 16:00:00.000000.",
        "invalid": "{name} takes a date like 2023-02-27 16:00:00.000000.",
    }

    def fail(self, key: str, **kwargs: Any) -> Any:
        """As DRF's, with the field's name in the sentence."""
        super().fail(key, name=self.field_name, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """The instant. Raises ``ValidationError`` that quotes what cannot be read."""
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return parse_instant(data)
        except ValueError as error:
            raise serializers.ValidationError(f"{self.field_name}: {error}.") from None

    def to_representation(self, value: Any) -> str:
        """The canonical text."""
        return format_instant(value)


class DeviceIdField(serializers.CharField):
    """A meter's device id."""

    def to_internal_value(self, data: Any) -> str:
        """The id in canonical lower case."""
        try:
            return str(uuid.UUID(str(data)))
        except ValueError:
            raise serializers.ValidationError(
                f"{str(data)[:40]!r} is not a meter's UUID."
            ) from None


class PositionField(serializers.CharField):
    """A place in the order of readings, as ``next`` links carry it: ``<time>,<device_id>``."""

    def to_internal_value(self, data: Any) -> Any:
        """The position."""
        time, _, device_id = str(data).partition(",")
        try:
            return Position(parse_instant(time), str(uuid.UUID(device_id)))
        except ValueError:
            raise serializers.ValidationError(
                "after is not what a next link carries; follow the link as it is."
            ) from None

    def to_representation(self, value: Any) -> str:
        """The text that ``to_internal_value`` reads."""
        return f"{format_instant(value.time)},{value.device_id}"


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses parameters it does not know, by name."""

    def to_internal_value(self, data: Any) -> Any:
        """As DRF's, behind the check that DRF leaves out."""
        unknown = [name for name in data if name not in self.fields]
        if unknown:
            message = (
                f"Unknown parameter: {_shortened(unknown)}. Known are {', '.join(self.fields)}."
            )
            raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [message]})
        return super().to_internal_value(data)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """What was given, in the form a caller writes it."""
        return {
            name: field.to_representation(instance[name])
            for name, field in self.fields.items()
            if name in instance
        }


def query_parameters(request: Request, *, repeatable: Collection[str] = ()) -> dict[str, Any]:
    """The query's parameters; those of ``repeatable`` as lists. Raises ``ValidationError`` for one given twice.

    A plain mapping, as DRF reads an empty value in a form's data as one that was not given.
    """
    given = request.query_params.lists()
    parameters = {name: values if name in repeatable else values[-1] for name, values in given}
    doubled = [
        name
        for name, values in request.query_params.lists()
        if len(values) > 1 and name not in repeatable
    ]
    if doubled:
        raise serializers.ValidationError(f"{_shortened(doubled)} is given more than once.")
    return parameters


def _shortened(names: Iterable[str]) -> str:
    """Names as a caller wrote them, cut so that no answer grows with the question."""
    return ", ".join(repr(name[:40]) for name in list(names)[:5])
