"""How many files and connections a process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress

_DARWIN_OPEN_MAX = 10_240
"""macOS reports no hard limit, but refuses a limit above this constant."""


def raise_limit() -> None:
    """Raise this process's limit of open files to its hard limit; processes that it starts inherit it.

    Many systems start a process with a soft limit of 256 or 1,024, which some hundred clients reach.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _DARWIN_OPEN_MAX):
        if soft == limit:
            return
        # A system that refuses both limits keeps the present one.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
