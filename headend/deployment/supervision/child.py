"""Fork this process. The child leads a new process group."""

from __future__ import annotations

import os
import signal
import sys

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def fork_child() -> int:
    """Return the id of a new child, or 0 in the child itself.

    The child leads a new session, so that a terminal's Ctrl-C reaches only this process, which then ends the child. The
    child's process group exists when this function returns, so no signal to the group is lost.

    This process must have one thread only. Another thread could hold a lock that the child would wait for.
    """
    # Both processes would write the text that is still in the buffers.
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
    try:
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            os.close(reading)
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            blocked = set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(writing)
    if child:
        # Returns when the child leads its group, or has died.
        os.read(reading, 1)
        os.close(reading)
    return child
