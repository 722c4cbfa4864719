"""System checks of the settings that are about readings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from headend.config.checks import TAG
from readings.engines import engine_of
from readings.ingest.deployment_town import deployment_delivery, deployment_town


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


@register(TAG)
def simulated_town_is_valid(**_: Any) -> list[CheckMessage]:
    """``readings.E002``: the customer classes, the time zone or the delivery curve of the simulated fleet are wrong."""
    try:
        deployment_town()
        deployment_delivery()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="readings.E002")]
    return []
