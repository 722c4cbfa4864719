"""The town of this deployment's simulated customers. Importing this module imports neither Polars nor NumPy."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from readings.simulation.town import Town


def deployment_town() -> Town:
    """Return the town that the ``SIMULATION_…`` settings describe.

    Raises ``ImproperlyConfigured`` if the customer classes, the time zone or the latitude are wrong.
    """
    try:
        return Town(
            shares=settings.SIMULATION_SHARES,
            timezone=settings.SIMULATION_TIMEZONE,
            latitude=settings.SIMULATION_LATITUDE,
        )
    except ValueError as error:
        parameter, reason = str(error).split(": ", 1)
        raise ImproperlyConfigured(f"SIMULATION_{parameter.upper()}: {reason}") from None
