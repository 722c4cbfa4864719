"""System checks of the settings that are about suppliers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from exports.models import Supplier


@register(Tags.database)
def anonymous_supplier_exists(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """``headend.E002``: ``HEADEND_ANONYMOUS_SUPPLIER`` names no active supplier.

    Calls without an API key would be refused although the setting allows them. Reads the database only
    if ``databases`` names one, as Django asks of checks with this tag.
    """
    name = settings.HEADEND_ANONYMOUS_SUPPLIER
    if not databases or not name or Supplier.objects.filter(name=name, active=True).exists():
        return []
    return [
        Error(
            f"HEADEND_ANONYMOUS_SUPPLIER is {name!r}, but no active supplier has this name.",
            hint="Set it to the name of an active supplier, or unset it.",
            id="headend.E002",
        )
    ]
