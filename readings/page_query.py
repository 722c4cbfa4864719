"""The parameters that select a page of readings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from readings.device_ids import is_uuid
from readings.models import Meter
from readings.parameters import (
    ColumnsField,
    DeviceIdField,
    InstantField,
    MeterListField,
    MetersField,
    PositionField,
    StrictSerializer,
    refuse_end_before_start,
)
from readings.window import Window

MAX_PAGE_SIZE = 50_000
MAX_OFFSET = 2**62
_LONGEST = len(str(MAX_OFFSET))


class WholeNumberField(serializers.IntegerField):
    """A whole number from ``min_value`` to ``max_value``."""

    min_value: int
    max_value: int

    def run_validation(self, data: Any = empty) -> Any:
        """Return the number. Raise ``ValidationError`` for other values, and for numbers out of bounds."""
        # Nearly all numbers are written like this. DRF's own checks take five times as long.
        if isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= _LONGEST:
            number = int(data)
            if self.min_value <= number <= self.max_value:
                return number
        return super().run_validation(data)


def whole_number(
    name: str, *, default: int, smallest: int, largest: int, help_text: str
) -> WholeNumberField:
    """Return a field whose error messages all say which numbers the parameter ``name`` takes."""
    message = f"{name} takes a whole number from {smallest} to {largest}."
    keys = ("invalid", "min_value", "max_value", "max_string_length")
    return WholeNumberField(
        default=default,
        min_value=smallest,
        max_value=largest,
        error_messages=dict.fromkeys(keys, message),
        help_text=help_text,
    )


def _offset() -> WholeNumberField:
    return whole_number(
        "offset",
        default=0,
        smallest=0,
        largest=MAX_OFFSET,
        help_text="How many readings of the window come before the page.",
    )


class ReadingsQuery(StrictSerializer):
    """The parameters that select a page of readings: the body of POST /readings/query."""

    start_date = InstantField(help_text="Readings with time >= start_date.")
    page_size = whole_number(
        "page_size",
        default=10,
        smallest=1,
        largest=MAX_PAGE_SIZE,
        help_text="The largest number of readings in the page.",
    )
    offset = _offset()
    end_date = InstantField(
        required=False, help_text="Readings with time <= end_date. A date alone means its midnight."
    )
    device_id = MetersField(
        required=False, help_text="Only readings of these meters: a list of ids, or one id."
    )
    arrived_after = InstantField(
        required=False, help_text="Only readings with arrival_time > arrived_after."
    )
    as_of = InstantField(
        required=False,
        help_text=(
            "Only readings with arrival_time <= as_of: late readings cannot shift the pages. The default with "
            "arrived_after is the newest instant up to which nothing more can arrive, otherwise none."
        ),
    )
    columns = ColumnsField(
        required=False,
        help_text="The columns of each record, in this order. The default is the ten columns until vltg.",
    )
    after = PositionField(
        required=False,
        help_text="The position that a next link carries. It replaces offset, and is faster.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an end before the start: it is a mistake, and the page would always be empty."""
        refuse_end_before_start(attrs)
        return attrs


class UrlQuery(ReadingsQuery):
    """The query parameters of GET /readings."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields of the query. A repeated ``device_id`` is a list."""
        return super().get_fields() | {
            "device_id": MeterListField(
                required=False,
                help_text="Only readings of these meters. The parameter may be repeated.",
            )
        }

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of all fields.

        Raises ``ValidationError`` also for an id that is neither a UUID nor that of a known meter: clients of the
        contract rely on this error, which shows a typing error in a URL.
        """
        values = super().to_internal_value(data)
        texts = {each for each in values.get("device_id", ()) if not is_uuid(each)}
        if texts:
            known = Meter.objects.filter(device_id__in=texts)
            unknown = sorted(texts.difference(known.values_list("device_id", flat=True)))
            if unknown:
                message = f"device_id: no known meter has the id {unknown[0][:40]!r}."
                raise serializers.ValidationError({"device_id": [message]})
        return values


class NextQuery(StrictSerializer):
    """The query parameters of POST /readings/query, which a next link carries. They replace those of the body."""

    offset = _offset()
    as_of = InstantField(required=False, help_text="Only readings with arrival_time <= as_of.")
    after = PositionField(
        required=False, help_text="The position after which the page starts, from a next link."
    )


class FilterParams(ReadingsQuery):
    """The parameters that selected the readings of a page, each in its canonical form."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields of the query without ``page_size`` and ``after``. ``device_id`` is always a list."""
        meters = MeterListField(required=False, help_text="Only readings of these meters.")
        fields = super().get_fields() | {"device_id": meters}
        return {name: fields[name] for name in fields if name not in ("page_size", "after")}


class HistoryQuery(StrictSerializer):
    """The query parameters of GET /readings/history."""

    device_id = DeviceIdField(
        error_messages={"required": "device_id is required: the id of the meter."},
        help_text="The meter.",
    )
    time = InstantField(help_text="The time of the reading.")


def requested_window(selected: Mapping[str, Any]) -> Window:
    """Return the window of a query. ``selected`` has the valid values of :class:`ReadingsQuery`."""
    return Window(
        start=selected["start_date"],
        end=selected.get("end_date"),
        device_ids=selected.get("device_id", ()),
        arrived_after=selected.get("arrived_after"),
        as_of=selected.get("as_of"),
    )
