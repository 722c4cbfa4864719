"""Serializers of responses with readings: a page, and the versions of one reading."""

from __future__ import annotations

from typing import Any

import polars as pl
from drf_spectacular.utils import extend_schema_serializer, inline_serializer
from rest_framework import serializers

from readings import frame
from readings.page_query import FilterParams
from readings.parameters import DeviceIdField, InstantField

_FIELDS: dict[pl.DataType, type[serializers.Field[Any, Any, Any, Any]]] = {
    frame.INSTANT: InstantField,
    pl.Int64(): serializers.IntegerField,
    pl.Float64(): serializers.FloatField,
    pl.String(): serializers.CharField,
}
"""How a column of a readings frame is declared, by its data type."""
_NULLABLE = {*frame.MEASURES, "quality"}


def column_fields(*, required: bool) -> dict[str, Any]:
    """Return a field for each column of ``frame.FULL_SCHEMA``.

    They follow from the schema of a readings frame, so the two cannot differ.
    """
    fields = {}
    for name, data_type in frame.FULL_SCHEMA.items():
        kind = DeviceIdField if name == "device_id" else _FIELDS[data_type]
        fields[name] = kind(
            required=required, allow_null=name in _NULLABLE, help_text=frame.MEANINGS[name]
        )
    return fields


class Reading(serializers.Serializer[Any]):
    """One record of a page. It has the columns that the caller chose; by default those of the contract."""

    def get_fields(self) -> dict[str, Any]:
        """Return ``offset``, the row number in the window from 1, and a field for each column of a reading."""
        offset = serializers.IntegerField(help_text="Row number in the window, from 1.")
        return {"offset": offset, **column_fields(required=False)}


# A page is one object, although the method of the viewset is called `list`.
@extend_schema_serializer(many=False)
class ReadingsPage(serializers.Serializer[Any]):
    """One page of readings."""

    # The OpenAPI schema declares this class. The view makes the same object itself: a serializer would only copy the
    # values.

    filter_params = FilterParams()
    results = inline_serializer(
        "ReadingsPageResults",
        {
            "records_total": serializers.IntegerField(help_text="Number of readings in this page."),
            "last_offset": serializers.IntegerField(
                help_text="Row number of the page's last reading; the offset of the next page."
            ),
            "last_date": InstantField(
                allow_null=True, help_text="Time of the page's last reading; null without readings."
            ),
        },
    )
    next = serializers.URLField(
        allow_null=True, help_text="The URL of the next page; null after the last page."
    )
    records = Reading(many=True)


class ReadingVersion(serializers.Serializer[Any]):
    """One version of a reading, with all columns."""

    def get_fields(self) -> dict[str, Any]:
        """Return ``valid``, whether pages and files show this version, and a field for each column."""
        valid = serializers.BooleanField(
            help_text="Whether this is the valid version: the one that arrived last."
        )
        return {"valid": valid, **column_fields(required=True)}


class ReadingHistory(serializers.Serializer[Any]):
    """All versions of one reading."""

    device_id = DeviceIdField(help_text=frame.MEANINGS["device_id"])
    time = InstantField(help_text=frame.MEANINGS["time"])
    versions = ReadingVersion(
        many=True, help_text="The version that arrived last comes first: it is the valid one."
    )
