"""End the deployment's processes if their supervisor is killed.

A process that gets SIGKILL cannot end its children. So a second process, the guard, has the reading end of a pipe. Only
the supervisor has the writing end. The system closes it when the supervisor ends for any reason. (Linux can send a
signal to the children of a process that ends, but not to their children. macOS can do neither.)
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

KILL_AFTER_SECONDS = 5.0
"""A process that has not ended this long after SIGTERM gets SIGKILL."""
_POLL_SECONDS = 0.1


class Guard:
    """Starts the guard, and tells it which process groups to end.

    Create it before any thread, because it forks.
    """

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._writing)
                _guard(reading)
            finally:
                # The guard must not run the rest of the supervisor's program.
                os._exit(0)
        os.close(reading)

    def add(self, group: int) -> None:
        """Guard a process group."""
        self._tell(f"{group}\n")

    def remove(self, group: int) -> None:
        """Forget a process group that has ended: the system can give its number to other processes."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Close the pipe to the guard, in a process that was forked from the supervisor."""
        os.close(self._writing)

    def end(self) -> None:
        """End the guard. Groups that were not removed are ended, too."""
        self.close()
        os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        # If the guard was killed, the deployment continues without it.
        with suppress(BrokenPipeError):
            os.write(self._writing, line.encode())


def _guard(reading: int) -> None:
    """Read the numbers of groups until the supervisor has ended, then end the groups that are left."""
    # A terminal's Ctrl-C reaches the supervisor only, and a signal to its group does not end the guard.
    os.setsid()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    with os.fdopen(reading) as lines:
        for line in lines:
            number = int(line)
            if number > 0:
                groups.add(number)
            else:
                groups.discard(-number)
    _end(groups)


def _end(groups: set[int]) -> None:
    deadline = time.monotonic() + KILL_AFTER_SECONDS
    left = {group for group in groups if _send(group, signal.SIGTERM)}
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = {group for group in left if _send(group, 0)}
    for group in left:
        _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    """Return whether the group has a process that got the signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
