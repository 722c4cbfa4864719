"""The fleet that this deployment simulates."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from django.conf import settings

from readings.ingest.deployment_town import deployment_delivery, deployment_town
from readings.ingest.fleet_profile import deployment_profile
from readings.simulation.customers import customer_classes
from readings.simulation.fleet import Fleet


def deployment_fleet(profile: str | None = None) -> Fleet:
    """Return the fleet that the ``SIMULATION_…`` settings describe.

    ``profile`` replaces the deployment's profile, which may have to be read from the database.

    Raises ``ImproperlyConfigured`` if the customer classes, the time zone or the delivery curve are wrong.
    """
    return Fleet(
        interval_minutes=settings.SIMULATION_INTERVAL,
        devices=settings.SIMULATION_DEVICES,
        devices_per_batch=settings.SIMULATION_DEVICES_PER_BATCH,
        voltage=settings.SIMULATION_VOLTAGE,
        minimum_load=settings.SIMULATION_MINIMUM_LOAD,
        maximum_load=settings.SIMULATION_MAXIMUM_LOAD,
        late_arrivals=settings.SIMULATION_LATE_ARRIVALS,
        late_percent=settings.SIMULATION_LATE_PERCENT,
        late_minutes=settings.SIMULATION_LATE_MINUTES,
        seed=settings.SIMULATION_SEED,
        profile=profile or deployment_profile(),
        town=deployment_town(),
        delivery=deployment_delivery(),
    )


def customer_class_of(device_ids: Sequence[str] | pl.Series) -> list[str | None]:
    """Return the customer class of each meter, or None for a meter that is not in this deployment's fleet.

    All are None if the fleet has no classes, as with the profile ``uniform``. The first call of a process takes about
    10 microseconds for each meter of the fleet; after that, 1,000 ids take a millisecond. A class follows from the
    settings: meters of a backfill with other ``--shares`` or another ``--seed`` get the class of this fleet.

    Raises ``ImproperlyConfigured`` as :func:`deployment_fleet`.
    """
    return customer_classes(deployment_fleet(), device_ids)
