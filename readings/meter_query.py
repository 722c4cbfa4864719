"""The parameters and the results of GET /meters."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from readings import frame
from readings.device_ids import MAX_LENGTH
from readings.instants import format_instant, parse_instant
from readings.page_query import whole_number
from readings.parameters import DeviceIdField, InstantField, StrictSerializer
from readings.serializers import column_fields
from readings.window import Position

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
DURATION_PATTERN = "[1-9][0-9]{0,4}[mhd]"
_WRONG_CURSOR = "cursor is not the value of a next link; use the link without changes."


class PrefixField(serializers.CharField):
    """The first characters of device ids, exactly as they are stored."""

    default_error_messages = {
        **dict.fromkeys(
            ("blank", "null", "invalid"),
            f"prefix takes the first 1 to {MAX_LENGTH} characters of device ids.",
        ),
        "comma": "prefix contains a comma, which no device id can contain.",
    }

    def to_internal_value(self, data: Any) -> str:
        """Return the text. Raise ``ValidationError`` if no device id can begin with it."""
        text = str(data)
        if len(text) > MAX_LENGTH or not text.isprintable():
            self.fail("invalid")
        if "," in text:
            self.fail("comma")
        return text


class DurationField(serializers.CharField):
    """A whole number of minutes, hours or days, such as ``30m``, ``2h`` or ``3d``."""

    default_error_messages = dict.fromkeys(
        ("blank", "null", "invalid"),
        "silent_for takes a number of minutes, hours or days, from 1 to 99999, like 30m, 2h or 3d.",
    )

    def to_internal_value(self, data: Any) -> Any:
        """Return a ``timedelta``. Raise ``ValidationError`` for another form."""
        text = str(data)
        if not re.fullmatch(DURATION_PATTERN, text, re.ASCII):
            self.fail("invalid")
        return int(text[:-1]) * _UNITS[text[-1]]

    def to_representation(self, value: Any) -> str:
        """Return the number of minutes as text."""
        return f"{value // _UNITS['m']}m"


class CursorField(serializers.CharField):
    """Where a page starts: after a device id, or after ``<recorded last time>,<device id>`` among silent meters."""

    default_error_messages = dict.fromkeys(("blank", "null", "invalid"), _WRONG_CURSOR)

    def to_internal_value(self, data: Any) -> Any:
        """Return the device id, or the :class:`Position`. Raise ``ValidationError`` for other text."""
        text = str(data)
        time, comma, device_id = text.rpartition(",")
        if len(device_id) > MAX_LENGTH or not text.isprintable():
            self.fail("invalid")
        if not comma:
            return device_id
        try:
            return Position(parse_instant(time), device_id)
        except ValueError:
            return self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        """Return the text that :meth:`to_internal_value` accepts."""
        if isinstance(value, Position):
            return f"{format_instant(value.time)},{value.device_id}"
        return str(value)


class MetersQuery(StrictSerializer):
    """The query parameters of GET /meters."""

    prefix = PrefixField(
        required=False,
        trim_whitespace=False,
        help_text="Only meters whose device id begins with this text. Capital and small letters differ.",
    )
    silent_for = DurationField(
        required=False,
        help_text="Only meters whose last reading is older than this, the longest silent ones first: minutes, hours or "
        "days, like 30m, 2h or 3d.",
    )
    page_size = whole_number(
        "page_size",
        default=DEFAULT_PAGE_SIZE,
        smallest=1,
        largest=MAX_PAGE_SIZE,
        help_text="The largest number of meters in the page.",
    )
    cursor = CursorField(
        required=False,
        trim_whitespace=False,
        help_text="The position after which the page starts, from a next link.",
    )

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of all fields. Raise ``ValidationError`` if the cursor is one of another list."""
        values = super().to_internal_value(data)
        if "cursor" in values and isinstance(values["cursor"], Position) != (
            "silent_for" in values
        ):
            raise serializers.ValidationError(_WRONG_CURSOR)
        return values


def _share(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(min_value=0, max_value=1, allow_null=True, help_text=help_text)


class ListedMeter(serializers.Serializer[Any]):
    """One meter of a page."""

    device_id = DeviceIdField(help_text=frame.MEANINGS["device_id"])
    first_reading = InstantField(
        source="first", allow_null=True, help_text="The time of the first reading."
    )
    last_reading = InstantField(
        source="last", allow_null=True, help_text="The time of the newest reading."
    )
    readings = serializers.IntegerField(help_text="The number of readings.")
    completeness_last_day = _share(
        "The share of the expected readings that are stored, of the 24 hours up to the newest interval. Null if the meter's "
        "interval is not known.",
    )
    completeness = _share("The same share, since the meter's first reading.")
    customer_class = serializers.CharField(
        allow_null=True, help_text="The customer class; null if it is not known."
    )


# A page is one object, although the method of the viewset is called `list`.
@extend_schema_serializer(many=False)
class MeterList(serializers.Serializer[Any]):
    """One page of meters."""

    next = serializers.URLField(
        allow_null=True, help_text="The URL of the next page; null after the last page."
    )
    results = ListedMeter(many=True)


class LatestReading(serializers.Serializer[Any]):
    """The newest reading of a meter, with all columns."""

    def get_fields(self) -> dict[str, Any]:
        """Return a field for each column of a reading."""
        return column_fields(required=True)
