"""Fields and a base class for serializers that check what API callers send.

Error messages name the parameter, quote at most 40 characters of its value, and show what is accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.settings import api_settings

from readings import columns, device_ids
from readings.device_ids import parse_device_id
from readings.instants import format_instant, parse_bounded_instant, parse_instant
from readings.window import Position

MAX_METERS = 50_000
"""The largest number of meters that a file request can name."""


class ParsedField(serializers.CharField):
    """Text from which ``to_internal_value`` makes a value."""

    def run_validation(self, data: Any = empty) -> Any:
        """Return the parsed value. Raise ``ValidationError`` if it is not accepted."""
        # Nearly all values are text. DRF's checks for missing and empty values take longer than the parsers.
        if isinstance(data, str) and data and not data.isspace():
            return self.to_internal_value(data)
        return super().run_validation(data)

    def run_validators(self, value: Any) -> None:
        """Do nothing: the parsers refuse the characters that DRF's validators of text look for, and much more."""


class InstantField(ParsedField):
    """An instant as text. It accepts what :func:`parse_bounded_instant` does, and writes the canonical form."""

    default_error_messages = {
        "blank": "{name} is empty; it takes a date like 2023-02-27 16:00:00.000000.",
        "null": "{name} is null; it takes a date like 2023-02-27 16:00:00.000000.",
        "required": "{name} is required: a date like 2023-02-27 16:00:00.000000.",
        "invalid": "{name} takes a date like 2023-02-27 16:00:00.000000.",
    }

    def fail(self, key: str, **kwargs: Any) -> Any:
        """Raise ``ValidationError`` with the message for ``key``, which contains the field's name."""
        super().fail(key, name=self.field_name, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """Return the instant in UTC. Raise ``ValidationError`` for a text that names none, or one out of bounds."""
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return parse_bounded_instant(data)
        except ValueError as error:
            raise serializers.ValidationError(f"{self.field_name}: {error}.") from None

    def to_representation(self, value: Any) -> str:
        """Return the canonical text."""
        return format_instant(value)


class DeviceIdField(ParsedField):
    """The id of a meter: text that :func:`parse_device_id` accepts."""

    default_error_messages = {
        "blank": f"device_id takes {device_ids.RULE}.",
        **dict.fromkeys(
            ("null", "invalid"), f"device_id takes ids as text in quotes: {device_ids.RULE}."
        ),
    }

    def to_internal_value(self, data: Any) -> str:
        """Return the canonical form of the id. Raise ``ValidationError`` for other values."""
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return parse_device_id(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class MeterListField(serializers.ListField):
    """A list of meter ids."""

    default_error_messages = {
        "empty": "device_id is an empty list; name a meter, or leave device_id out for all meters.",
        "null": "device_id is null; leave it out for all meters.",
        "not_a_list": "device_id takes a list of meter ids.",
    }
    child = DeviceIdField()

    def to_internal_value(self, data: Any) -> Any:
        """Return the canonical ids as a tuple, ascending, each once. Raise ``ValidationError`` for other values.

        The first wrong id ends the validation: a body can have half a million of them.
        """
        if not isinstance(data, list):
            self.fail("not_a_list")
        if not data:
            self.fail("empty")
        # The child's own validation takes ten times as long.
        return tuple(sorted({self.child.to_internal_value(each) for each in data}))


class MetersField(MeterListField):
    """A list of meter ids, or the text of one."""

    default_error_messages = {
        "null": "device_id is null; it takes the text of an id in quotes, or a list of such texts.",
        "not_a_list": "device_id takes the text of an id in quotes, or a list of such texts.",
    }

    def to_internal_value(self, data: Any) -> Any:
        """See :meth:`MeterListField.to_internal_value`."""
        return super().to_internal_value([data] if isinstance(data, str) else data)


class FileMetersField(MetersField):
    """A list of at most :data:`MAX_METERS` meter ids, or the text of one."""

    default_error_messages = {
        "max_length": f"device_id names more than {MAX_METERS:,} meters; request several files.",
    }

    def to_internal_value(self, data: Any) -> Any:
        """See :meth:`MeterListField.to_internal_value`."""
        if isinstance(data, list) and len(data) > MAX_METERS:
            self.fail("max_length")
        return super().to_internal_value(data)


class ColumnsField(ParsedField):
    """The columns of a reading that the caller gets: ``all``, or their names, separated by commas."""

    default_error_messages = {
        "blank": f"columns names no column; {columns.RULE}.",
        "null": f"columns is null; {columns.RULE}.",
        "invalid": f"columns takes one text in quotes, not a list or a number; {columns.RULE}.",
    }

    def to_internal_value(self, data: Any) -> Any:
        """Return the list of names. Raise ``ValidationError`` if a column is unknown or repeated."""
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return columns.parse_columns(data)
        except ValueError as error:
            raise serializers.ValidationError(f"{self.field_name}: {error}") from None

    def to_representation(self, value: Any) -> str:
        """Return the names, separated by commas."""
        return columns.format_columns(value)


class PositionField(ParsedField):
    """A position as ``next`` links carry it: ``<time>,<device_id>``."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the :class:`Position`. Raise ``ValidationError`` for other text."""
        time, _, device_id = str(data).partition(",")
        # Without bounds: it is the time of a stored reading, which may be older than the bounds.
        try:
            return Position(parse_instant(time), parse_device_id(device_id))
        except ValueError:
            raise serializers.ValidationError(
                "after is not the value of a next link; use the link without changes."
            ) from None

    def to_representation(self, value: Any) -> str:
        """Return the text that :meth:`to_internal_value` accepts."""
        return f"{format_instant(value.time)},{value.device_id}"


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses unknown parameters, and writes only the parameters that have a value.

    One instance can check and write the parameters of all calls, in all threads: with a serializer for each call, DRF
    would copy all fields each time.
    """

    def valid(self, data: Any) -> dict[str, Any]:
        """Return the values of the parameters in ``data``. Raise ``ValidationError`` if one is wrong or missing."""
        values: dict[str, Any] = self.validate(self.to_internal_value(data))
        return values

    @cached_property
    def _field_by_name(self) -> dict[str, Any]:
        # DRF's own mapping takes several times as long for each access.
        return dict(self.fields)

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of all fields. Raise ``ValidationError`` that names unknown parameters.

        DRF ignores unknown parameters, so a typing error in a name would go unnoticed.
        """
        fields = self._field_by_name
        unknown = [name for name in data if name not in fields]
        if unknown:
            message = f"Unknown parameter: {_quoted(unknown)}. Known are {', '.join(fields)}."
            raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [message]})
        values, errors = {}, {}
        for name, field in fields.items():
            # DRF's own method raises and catches an exception for each parameter that is missing.
            if name in data or field.required or field.default is not empty:
                try:
                    values[name] = field.run_validation(data.get(name, empty))
                except serializers.ValidationError as error:
                    errors[name] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        return values

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return the canonical form of the values in ``instance``, a mapping by field name."""
        return {
            name: field.to_representation(instance[name])
            for name, field in self._field_by_name.items()
            if name in instance
        }


def refuse_end_before_start(values: Mapping[str, Any]) -> None:
    """Raise ``ValidationError`` if ``end_date`` is before ``start_date``. ``end_date`` may be missing."""
    end = values.get("end_date")
    if end is not None and end < values["start_date"]:
        raise serializers.ValidationError("end_date is before start_date.")


def query_parameters(request: Request, *, repeatable: Collection[str] = ()) -> dict[str, Any]:
    """Return the query parameters of a request; those in ``repeatable`` as lists, others as text.

    Raises ``ValidationError`` if another parameter is given more than once.

    The result is a plain dict on purpose: in a ``QueryDict``, DRF treats an empty value as a missing one.
    """
    parameters: dict[str, Any] = {}
    repeated = []
    for name, values in _values_by_name(request):
        parameters[name] = values if name in repeatable else values[-1]
        if len(values) > 1 and name not in repeatable:
            repeated.append(name)
    if repeated:
        raise serializers.ValidationError(f"{_quoted(repeated)} is given more than once.")
    return parameters


def _values_by_name(request: Request) -> Iterable[tuple[str, list[str]]]:
    query = request.META.get("QUERY_STRING", "")
    if query.isascii() and query.count("&") < settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:
        # Django's QueryDict takes twice as long.
        return parse_qs(query, keep_blank_values=True).items()
    return request.query_params.lists()


def _quoted(names: Iterable[str]) -> str:
    """Return names for an error message: the first 5, at most 40 characters each.

    So an error message stays short, however long the request is.
    """
    return ", ".join(repr(name[:40]) for name in list(names)[:5])
