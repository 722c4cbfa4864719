"""The profile of this deployment's fleet: that of the setting, or the one that the deployment has had so far.

A deployment that is upgraded must not get meters of another kind in the middle of its history. So its database records
the profile: a migration records ``uniform`` if an earlier release has written readings, and ``mixed`` otherwise.
"""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.db import OperationalError, ProgrammingError

from headend.config.database_errors import has_no_tables
from readings.models import SimulatedFleet

NEW_PROFILE = "mixed"
"""The profile of new deployments."""
_ONLY_ROW = 1


def deployment_profile() -> str:
    """Return ``SIMULATION_PROFILE``, or if it is not set, the recorded profile.

    A database without tables belongs to a new deployment: commands can write readings before ``manage.py setup``.
    """
    if settings.SIMULATION_PROFILE:
        return str(settings.SIMULATION_PROFILE)
    try:
        return _recorded()
    except SimulatedFleet.DoesNotExist:
        return NEW_PROFILE
    except (OperationalError, ProgrammingError) as error:
        if not has_no_tables(error):
            raise
        return NEW_PROFILE


def record_profile() -> None:
    """Record the present profile. If ``SIMULATION_PROFILE`` is removed later, the fleet keeps it."""
    SimulatedFleet.objects.update_or_create(
        pk=_ONLY_ROW, defaults={"profile": deployment_profile()}
    )
    _recorded.cache_clear()


@cache
def _recorded() -> str:
    """Return the recorded profile. It is cached: it changes only in ``manage.py setup``, before processes start."""
    return SimulatedFleet.objects.get().profile
