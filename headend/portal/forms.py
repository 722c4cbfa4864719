"""Form fields and forms of several pages: an instant, a window, filters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict

from exports.models import Supplier
from readings.instants import format_instant, parse_bounded_instant

Bounds = tuple[datetime, datetime]
"""The start and the end of a window, both in UTC."""
_LENGTH_TO_SECONDS = len("2023-02-27 16:00:00")


class InstantField(forms.Field):
    """An instant in UTC, in every form that the API accepts."""

    def to_python(self, value: Any) -> datetime | None:
        """Return the instant, or None for an empty value.

        Raises:
            ValidationError: the text is not an instant, or the instant is out of bounds.
        """
        if not value:
            return None
        try:
            return parse_bounded_instant(str(value).strip())
        except ValueError as error:
            raise forms.ValidationError(f"{self.label}: {error}.") from None

    def prepare_value(self, value: Any) -> Any:
        """Return the text to show in the field: an instant as ``2023-02-27 16:00:00``."""
        return format_instant(value)[:_LENGTH_TO_SECONDS] if isinstance(value, datetime) else value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Return the attributes of the input element, with an example as placeholder."""
        return {"placeholder": "2023-02-27 16:00", "autocomplete": "off", "size": "20"}


class WindowForm(forms.Form):
    """The start and the end of a window."""

    start = InstantField(label="From (UTC)")
    end = InstantField(label="To (UTC)")

    end_may_equal_start = False
    """Whether a window of one instant is valid. A chart cannot draw it; a file can contain it."""

    def clean(self) -> dict[str, Any]:
        """Reject a window whose end is before its start."""
        cleaned = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end:
            if self.end_may_equal_start and end < start:
                self.add_error("end", "“To” must not be earlier than “From”.")
            if not self.end_may_equal_start and end <= start:
                self.add_error("end", "“To” must be later than “From”.")
        return cleaned

    @property
    def bounds(self) -> Bounds:
        """The start and the end; available after the form is validated."""
        return self.cleaned_data["start"], self.cleaned_data["end"]


def window_from_query(query: QueryDict, default: Bounds) -> tuple[WindowForm, Bounds]:
    """Return the form and the bounds of the window that a page shows.

    The URL query names the window by ``start`` and ``end``. Without ``start``, or with an invalid window, the
    bounds are ``default``; the form then shows the default or the errors.
    """
    if "start" not in query:
        return WindowForm(initial={"start": default[0], "end": default[1]}), default
    form = WindowForm(query)
    return form, form.bounds if form.is_valid() else default


class FilterForm(forms.Form):
    """Filters of a list, taken from the URL query. Every filter is optional."""

    supplier = forms.ModelChoiceField(
        Supplier.objects.order_by("name"), required=False, empty_label="all", to_field_name="name"
    )

    def selected(self) -> dict[str, Any]:
        """Return the filters that are set; empty if one of them is invalid."""
        cleaned = self.cleaned_data if self.is_bound and self.is_valid() else {}
        return {name: value for name, value in cleaned.items() if value}
