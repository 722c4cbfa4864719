"""Throttling of logins: after some wrong passwords, each further one causes a longer pause.

Wrong passwords are counted twice: for each user name at one address, and for each address over all names. So an
attacker cannot lock out a user at another address, or, with a few wrong passwords, all users behind a proxy. An address
that tries one password for many names is slowed down, too. django-axes stores the failed logins and refuses logins
during a pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from headend.config.addresses import network_of


@dataclass(frozen=True)
class Limit:
    """How many wrong passwords are allowed without a pause, and how long the pauses after further ones are."""

    failures: int
    """After this many wrong passwords there is a pause of :attr:`first_pause`."""
    step: int
    """After this many further ones, the pause is twice as long."""
    max_pause: timedelta
    first_pause: timedelta = timedelta(seconds=10)

    def pause(self, failures: int) -> timedelta:
        """Return the pause after this many wrong passwords."""
        if failures < self.failures:
            return timedelta(0)
        doublings = (failures - self.failures) // self.step
        # The pause is at its maximum long before it is too large for a timedelta.
        return min(self.max_pause, self.first_pause * (1 << min(doublings, 32)))


NAME_AT_ADDRESS = Limit(failures=5, step=1, max_pause=timedelta(hours=1))
ADDRESS = Limit(failures=50, step=10, max_pause=timedelta(minutes=15))
"""Many users can share an address, behind a proxy or a router."""


class LoginThrottle(AxesDatabaseHandler):  # type: ignore[misc] # axes ships no types
    """Decides whether a login is refused (``AXES_HANDLER``)."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        """Return whether the pause after the last wrong password is not over."""
        return remaining_pause(request, credentials) > timedelta(0)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any
    ) -> None:
        """Count the failed login. If a pause follows, let axes answer with 429."""
        super().user_login_failed(sender, credentials, request, **kwargs)
        if request is not None and self.is_locked(request, credentials):
            request.axes_locked_out = True
            request.axes_credentials = credentials


def remaining_pause(request: HttpRequest, credentials: dict[str, Any] | None) -> timedelta:
    """Return how long the user name in ``credentials`` cannot log in from the address of the request."""
    recent = AccessAttempt.objects.filter(
        ip_address=throttled_address(request),
        attempt_time__gte=timezone.now() - settings.AXES_COOLOFF_TIME,
    )
    of_name = recent.filter(username=(credentials or {}).get("username"))
    return max(_remaining(of_name, NAME_AT_ADDRESS), _remaining(recent, ADDRESS))


def throttled_address(request: HttpRequest) -> str | None:
    """Return the caller's address or IPv6 network, or None if it is not known (``AXES_CLIENT_IP_CALLABLE``)."""
    return network_of(request.META.get("REMOTE_ADDR", "")) or None


def _remaining(attempts: QuerySet[Any], limit: Limit) -> timedelta:
    found = attempts.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
    if found["last"] is None:
        return timedelta(0)
    pause = limit.pause(found["failures"])
    # If the clock was set back, the last failure is in the future.
    ended: datetime = found["last"] + pause
    return min(pause, ended - timezone.now())
