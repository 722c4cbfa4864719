"""The town and the delivery curve of this deployment's fleet. This module imports neither Polars nor NumPy."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from readings.simulation.town import DeliveryCurve, Town, parse_delivery


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
        raise _setting_error(error) from None


def deployment_delivery() -> DeliveryCurve | None:
    """Return the delivery curve of ``SIMULATION_DELIVERY``, or None if it is off.

    Raises ``ImproperlyConfigured`` if it is wrong, or if late arrivals are on too.
    """
    try:
        curve = parse_delivery(settings.SIMULATION_DELIVERY)
    except ValueError as error:
        raise _setting_error(error) from None
    if curve and settings.SIMULATION_LATE_ARRIVALS:
        raise ImproperlyConfigured(
            "SIMULATION_DELIVERY and SIMULATION_LATE_ARRIVALS are both on; choose one of them."
        )
    return curve


def _setting_error(error: ValueError) -> ImproperlyConfigured:
    """Return an error with the setting's name. The message of ``error`` begins with the parameter's name."""
    parameter, reason = str(error).split(": ", 1)
    return ImproperlyConfigured(f"SIMULATION_{parameter.upper()}: {reason}")
