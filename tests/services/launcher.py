"""Becomes a server that ends when its parent does: ``launcher.py [--user NAME] PROGRAM ARGUMENTS…``.

Started as a script of its own, before the server, because the kernel forgets the wish to die with
the parent when a process changes its user, and because nothing may run between fork and exec in a
parent that has threads.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

_PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Run as ``user`` from here on; only root may."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main(arguments: list[str]) -> None:
    """Exchange this process for the server."""
    if arguments[0] == "--user":
        become(arguments[1])
        arguments = arguments[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(arguments[0], arguments)  # noqa: S606 (a list, as is wanted: no shell)


if __name__ == "__main__":
    main(sys.argv[1:])
