"""System checks of the settings that are about readings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from headend.config.checks import TAG
from readings.engines import engine_of


@register(TAG)
def readings_url_is_valid(**_: Any) -> list[CheckMessage]:
    """``readings.E001``: no repository can be opened with ``READINGS_URL``."""
    if engine_of(settings.READINGS_URL).is_folder:
        return []
    # Imported here because it imports Polars, which most commands do not need.
    from readings.repositories import open_store

    try:
        open_store(settings.READINGS_URL)
    except ValueError as error:
        return [Error(f"READINGS_URL: {error}", id="readings.E001")]
    return []
