"""Draining: after SIGTERM a process finishes its current work and takes no new work.

The state belongs to the whole process. The web server uses only :func:`drain_seconds`; its own drain is in
``headend.http.gunicorn_worker``.
"""

from __future__ import annotations

import math
import time

from headend.config import environment as env

MARGIN_SECONDS = 3.0
"""Work that is not finished is given back this long before the end of the drain time."""


class _Draining:
    give_back_at = math.inf


def drain_seconds() -> int:
    """Return how many seconds a busy process may continue after SIGTERM.

    Each process reads the setting when it starts. ``manage.py run`` sets a shorter time for its processes. Raises
    ``ImproperlyConfigured`` if the setting is wrong.
    """
    return env.integer("HEADEND_DRAIN_SECONDS", 25, minimum=2, maximum=3600)


def begin(seconds: float) -> None:
    """Take no new work from now on, and give running work back before ``seconds`` have passed."""
    _Draining.give_back_at = time.monotonic() + max(0.0, seconds - MARGIN_SECONDS)


def has_begun() -> bool:
    """Return whether this process must take no new work."""
    return _Draining.give_back_at < math.inf


def is_over() -> bool:
    """Return whether running work must be given back now."""
    return time.monotonic() >= _Draining.give_back_at
