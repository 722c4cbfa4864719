"""Wait for new files in the folder of the embedded broker."""

from __future__ import annotations

import ctypes
import os
import select
import time
from pathlib import Path
from typing import BinaryIO

from headend.config import draining

_IN_MOVED_TO = 0x80
_EVENT_BYTES = 1 << 16
_CHECK_SECONDS = 1.0
"""The folder is read at least this often, because inotify does not report changes of other hosts on a network disk."""
_DRAIN_CHECK_SECONDS = 0.2
"""A wait ends at most this long after the drain of the process has begun."""


class MessageWatch:
    """Notices when a message is renamed into ``folder``.

    Linux reports it at once (inotify). On other systems, and if the system's limit of watches is reached, :meth:`wait`
    sleeps for ``interval`` seconds, so its caller reads the folder that often.
    """

    def __init__(self, folder: Path, interval: float) -> None:
        self._interval = interval
        self._events = _open(folder)

    def wait(self, seconds: float) -> bool:
        """Wait for at most ``seconds``. Return True as soon as a message has arrived, otherwise False.

        A message that arrived since the last call counts too. The caller reads the folder in both cases. When the
        process drains, the wait ends early.
        """
        if self._events is None:
            time.sleep(min(seconds, self._interval))
            return False
        deadline = time.monotonic() + min(seconds, _CHECK_SECONDS)
        poll = select.poll()
        poll.register(self._events, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0 and not draining.has_begun():
            if not poll.poll(min(left, _DRAIN_CHECK_SECONDS) * 1000):
                continue
            # Names end with a NUL character. A worker that receives a message renames its file to .taken.
            if b".msg\0" in os.read(self._events.fileno(), _EVENT_BYTES):
                return True
        return False

    def close(self) -> None:
        """Stop watching."""
        if self._events is not None:
            self._events.close()


def _open(folder: Path) -> BinaryIO | None:
    """Return the events of renames into ``folder`` as a file, or None if the system cannot report them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return None
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    events = os.fdopen(descriptor, "rb", buffering=0)
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_MOVED_TO) < 0:
        events.close()
        return None
    return events
