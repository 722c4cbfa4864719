"""Start a program that ends when its parent process ends: ``launcher.py [--user NAME] PROGRAM ARGUMENTS…``.

This is a separate script that replaces itself with the program. There are two reasons: the kernel drops the
parent-death signal when a process changes its user, so the signal must be set after that; and a parent with
threads must not run code between fork and exec.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

_PR_SET_PDEATHSIG = 1


def switch_user(user: str) -> None:
    """Run this process as ``user``. Only root can do this."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main(arguments: list[str]) -> None:
    """Replace this process with the program."""
    if arguments[0] == "--user":
        switch_user(arguments[1])
        arguments = arguments[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execvp(arguments[0], arguments)  # noqa: S606 (a list of arguments, without a shell)


if __name__ == "__main__":
    main(sys.argv[1:])
