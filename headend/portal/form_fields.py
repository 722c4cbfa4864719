"""Fields of the pages' forms."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms

from readings.frame import format_instant, parse_instant


class InstantField(forms.Field):
    """An instant in any of the contract's forms, UTC."""

    def to_python(self, value: Any) -> datetime | None:
        """The instant; raises ``ValidationError`` with a sentence."""
        if not value:
            return None
        try:
            return parse_instant(str(value).strip())
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from None

    def prepare_value(self, value: Any) -> Any:
        """The canonical text, as far as seconds."""
        return format_instant(value)[:19] if isinstance(value, datetime) else value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """How it is written."""
        return {"placeholder": "2023-02-27 16:00", "autocomplete": "off", "size": "20"}
