"""Environment variables that look like settings, but that no process reads: their names are probably misspelt.

A process warns about them and starts. Other programs may have variables with similar names, and an older release does
not know the settings of a newer one.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches

from headend.config import environment as env

log = logging.getLogger(__name__)

OWN_PREFIXES = ("HEADEND_", "SIMULATION_", "READINGS_", "EXPORTS_")
"""A variable with one of these prefixes is meant for headend."""
_OTHER_PROGRAMS = frozenset(
    {
        "CELERY_BROKER_READ_URL",
        "CELERY_BROKER_WRITE_URL",
        "DATABASE_USER",
        "HEADEND_DOMAIN",
        "HEADEND_IMAGE",
        "HEADEND_KEY",
        "HEADEND_LIVE_AWS",
        "HEADEND_LIVE_BUCKET",
        "HEADEND_NETWORK",
        "SMTP_PORT",
    }
)
"""The variables that Celery itself reads, those of ``deploy/compose.yaml``, ``examples/`` and the tests, and two common
ones that look like settings."""
_SERVICE_LINK_NAME = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?")
_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
"""For a service ``headend-web``, Kubernetes and Docker set variables such as ``HEADEND_WEB_PORT=tcp://10.0.0.7:80``."""
_MIN_RATIO_WITHOUT_PREFIX, _MIN_RATIO = 0.6, 0.85
"""The smallest ratio of difflib for similar names.

One of our prefixes is removed before names are compared: otherwise all settings with the same prefix are similar.
"""
_EXPECTED_NAMES = {"SIMULATION_METERS": "SIMULATION_DEVICES"}
"""Names that users expect, and the real ones. The reference says *device*, and the documentation says *meter*."""


@dataclass(frozen=True)
class UnknownSetting:
    """A variable that no process reads, and the setting with the most similar name, if there is one."""

    name: str
    nearest: str | None

    @property
    def problem(self) -> str:
        """What is wrong, as a sentence."""
        return f"{self.name} is set, but headend has no setting of this name, and ignores it."

    @property
    def remedy(self) -> str:
        """What to do, in sentences."""
        listed = "docs/engineers.md lists the settings."
        if self.nearest is None:
            return f"Correct its name, or unset it; {listed}"
        return f"The most similar setting is {self.nearest}. Correct the name, or unset the variable; {listed}"


def unknown_settings() -> Iterator[UnknownSetting]:
    """Yield the unknown settings in the environment, by name. ``headend.settings`` must be imported."""
    known = env.names_read()
    for variable, value in sorted(os.environ.items()):
        name = variable.removesuffix("_FILE")
        if not value or name in known or name in _OTHER_PROGRAMS or _is_service_link(name, value):
            continue
        is_ours = name.startswith(OWN_PREFIXES)
        nearest = _nearest_of_ours(name, known) if is_ours else _nearest_name(name, known)
        if is_ours or nearest:
            yield UnknownSetting(variable, nearest)


def log_unknown_settings() -> None:
    """Log a warning for each unknown setting: for processes that print no warnings of system checks."""
    for each in unknown_settings():
        log.warning("unknown setting", extra={"problem": each.problem, "remedy": each.remedy})


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK_NAME.search(name) or _SERVICE_LINK_VALUE.match(value))


def _nearest_of_ours(name: str, known: AbstractSet[str]) -> str | None:
    """Return the setting whose name is most similar after the prefix. ``HEADEND_SFTP_PORT`` finds ``SFTP_PORT``."""
    prefix = next(each for each in OWN_PREFIXES if name.startswith(each))
    settings = {each: each for each in known} | _EXPECTED_NAMES
    by_short_name = {each.removeprefix(prefix): setting for each, setting in settings.items()}
    short_name = name.removeprefix(prefix)
    found = get_close_matches(short_name, by_short_name, n=1, cutoff=_MIN_RATIO_WITHOUT_PREFIX)
    return by_short_name[found[0]] if found else None


def _nearest_name(name: str, known: AbstractSet[str]) -> str | None:
    # Comparing all names would take 20 ms at the start of each process.
    candidates = [each for each in known if each[0] == name[0]]
    found = get_close_matches(name, candidates, n=1, cutoff=_MIN_RATIO)
    return found[0] if found else None
