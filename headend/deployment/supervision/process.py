"""A process of the deployment: its start, its output and its end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

# Relative: tests import this package without `headend`.
from .child import fork_child

Program = Callable[[], object]
"""What a forked process does. It may end with ``SystemExit``."""
_BLOCK_BYTES = 65_536


class Process:
    """A forked process. Its output is read from the descriptor :attr:`output`, which never blocks."""

    def __init__(self, name: str, pid: int, output: int) -> None:
        self.name = name
        self.pid = pid
        self.output = output
        self.started = time.monotonic()
        self.output_is_open = True
        """Whether a process can still write to :attr:`output`."""
        self._rest = b""
        os.set_blocking(output, False)

    def lines(self) -> Iterator[str]:
        """Yield the lines that the process has printed since the last call."""
        with suppress(BlockingIOError):
            while block := os.read(self.output, _BLOCK_BYTES):
                *lines, self._rest = (self._rest + block).split(b"\n")
                yield from map(_text, lines)
            self.output_is_open = False

    def read_rest_and_close(self) -> Iterator[str]:
        """Yield the last lines of a process that has ended, and close its output."""
        yield from self.lines()
        if self._rest:
            yield _text(self._rest)
        os.close(self.output)

    def kill_group(self, number: signal.Signals) -> None:
        """Send the signal to the process and its children, if there are any left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def ending(self) -> str | None:
        """Return in words how the process has ended, or None if it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return f"{self.name} ended with exit code {code}"
        return f"{self.name} was killed by {signal.Signals(-code).name}"


def start(name: str, close: Callable[[], None]) -> Process | None:
    """Fork a process, and return it; return None in the new process.

    The new process reads nothing and prints into :attr:`Process.output`. It calls ``close``, which closes the
    descriptors that only the supervisor may have.
    """
    reading, writing = os.pipe()
    pid = fork_child()
    if pid:
        os.close(writing)
        return Process(name, pid, reading)
    close()
    os.close(reading)
    _redirect(writing)
    _set_name(name)
    return None


def _redirect(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)
    # The supervisor reads lines of UTF-8 as soon as they are complete. Standard error has no buffer.
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)


def _set_name(name: str) -> None:
    """Let ``top`` and ``ps -o comm`` show the name: all forked processes have the same command line."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"headend-{name}"[:15], encoding="utf-8")


def shell(command: str, environment: dict[str, str]) -> Program:
    """Return the program that is a shell command."""
    return lambda: os.execve("/bin/sh", ["/bin/sh", "-c", command], environment)  # noqa: S606 (a shell is wanted)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
