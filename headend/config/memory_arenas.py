"""The number of memory arenas of a process.

glibc allocates the memory of threads in arenas, by default up to eight for each processor. Memory that is free in
one arena cannot be used from another. An export worker with two arenas needs 30 MB less, and the same time.
"""

from __future__ import annotations

import ctypes
import sys

ARENAS = 2
_M_ARENA_MAX = -8
"""The parameter's number in glibc's malloc.h."""


def limit_memory_arenas() -> None:
    """Limit the arenas of this process, and of those that it forks. Other C libraries have no such limit."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, ARENAS)
