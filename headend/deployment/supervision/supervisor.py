"""Run the processes of a Procfile in the foreground until a signal arrives. A process that dies is started again.

A guard process ends them if this process is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from honcho.environ import parse_procfile

# Relative: the program imports this package without `headend`.
from .announcement import Announcement, announce
from .guard import KILL_AFTER_SECONDS, Guard

MAX_DEATHS = 5
"""The deployment ends after this many deaths of one process in a row."""
STABLE_SECONDS = 60.0
"""A process that has run this long was started well: its earlier deaths do not count any more."""
FIRST_PAUSE_SECONDS = 0.5
"""The pause before a process is started again. It doubles after each further death in a row."""
_LAST_LINES_TIMEOUT_SECONDS = 1.0
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COLOURS = ("36", "33", "32", "35", "31", "34")
"""ANSI codes for the names of the processes: cyan, yellow, green, magenta, red, blue."""


def run(procfile: Path, announcement: Announcement | None = None) -> int:
    """Run the processes of ``procfile`` and return the exit code for this process.

    The first SIGINT, SIGTERM or SIGHUP (a closed terminal) ends all processes; the code is then 0. A process that
    ends by itself is started again. After :data:`MAX_DEATHS` deaths of a process in a row all processes end, and
    the code is 1.
    """
    commands = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    # Before any thread: the guard begins as a copy of this process.
    guard = Guard()
    supervisor = _Supervisor(commands, procfile.parent, guard)
    if announcement is not None:
        threading.Thread(target=announce, args=[announcement], daemon=True).start()
    try:
        return supervisor.run()
    finally:
        guard.end()


class _Printer:
    """Prints lines with the time and the name of the process. All threads may use it."""

    def __init__(self, names: list[str]) -> None:
        self._width = max(map(len, names))
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        codes = [_COLOURS[i % len(_COLOURS)] for i in range(len(names) - 1)]
        self._colours = dict(zip(names[1:], codes, strict=True)) if coloured else {}
        self._lock = threading.Lock()

    def print(self, name: str, line: str) -> None:
        prefix = f"{time.strftime('%H:%M:%S')} {name:<{self._width}} |"
        if name in self._colours:
            prefix = f"\033[{self._colours[name]}m{prefix}\033[0m"
        # The terminal may be closed: the processes still have to be read and ended.
        with self._lock, suppress(OSError):
            sys.stdout.write(f"{prefix} {line}\n")
            sys.stdout.flush()


class Deaths:
    """Counts how often each process has died in a row."""

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}

    def pause_after(self, name: str, lived: float) -> float | None:
        """Count a death of the process, which has lived for ``lived`` seconds.

        Return how many seconds to wait until it is started again, or None if it has died :data:`MAX_DEATHS` times.
        """
        earlier = 0 if lived >= STABLE_SECONDS else self._in_a_row.get(name, 0)
        self._in_a_row[name] = earlier + 1
        if self._in_a_row[name] == MAX_DEATHS:
            return None
        return FIRST_PAUSE_SECONDS * 2.0**earlier


@dataclass(frozen=True)
class _Process:
    """A process that was started."""

    name: str
    popen: subprocess.Popen[bytes]
    started: float
    """In seconds of the monotonic clock."""

    def ending(self) -> str:
        """Return how the process has ended, in words."""
        code = self.popen.returncode
        if code >= 0:
            return f"{self.name} ended with exit code {code}"
        return f"{self.name} was killed by {signal.Signals(-code).name}"

    def kill_group(self, number: signal.Signals) -> None:
        """Send the signal to the process and its children, if there are any left."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)


class _Supervisor:
    """Starts processes, prints their output, starts them again when they die, and ends them together."""

    def __init__(self, commands: dict[str, str], folder: Path, guard: Guard) -> None:
        self._commands = commands
        self._folder = folder
        self._guard = guard
        self._printer = _Printer(["system", *commands])
        self._running: dict[str, _Process] = {}
        self._deaths = Deaths()
        # What the main thread waits for: a signal, a process that has ended, or the name of a process to start. A
        # signal handler may put into a SimpleQueue even while the main thread reads from it.
        self._events: SimpleQueue[signal.Signals | _Process | str] = SimpleQueue()

    def run(self) -> int:
        """Run the processes, and return the exit code."""
        for number in END_SIGNALS:
            signal.signal(number, lambda number, _: self._events.put(signal.Signals(number)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)
        for name in self._commands:
            self._events.put(name)
        code = None if self._commands else 0
        try:
            while code is None:
                code = self._handle(self._events.get())
        finally:
            # Also after an error, such as a start for which the machine has no memory: no process may stay behind.
            self._end_all()
        return code

    def _handle(self, event: signal.Signals | _Process | str) -> int | None:
        """Return the exit code if all processes must end now, otherwise None."""
        if isinstance(event, signal.Signals):
            self._printer.print("system", f"{event.name} received")
            return 0
        if isinstance(event, str):
            self._start(event)
            return None
        del self._running[event.name]
        pause = self._deaths.pause_after(event.name, time.monotonic() - event.started)
        if pause is None:
            reason = f"{event.ending()}, after {MAX_DEATHS - 1} other deaths in a row"
            self._printer.print("system", f"{reason}; the deployment ends")
            return 1
        self._printer.print("system", f"{event.ending()}; it starts again in {pause:g} s")
        restart = threading.Timer(pause, self._events.put, [event.name])
        restart.daemon = True
        restart.start()
        return None

    def _start(self, name: str) -> None:
        popen = subprocess.Popen(
            ["/bin/sh", "-c", self._commands[name]],
            cwd=self._folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A terminal's Ctrl-C then reaches this process only, which ends the others in order.
            start_new_session=True,
        )
        self._guard.add(popen.pid)
        process = self._running[name] = _Process(name, popen, time.monotonic())
        self._printer.print("system", f"{name} started (pid={popen.pid})")
        assert popen.stdout is not None
        reader = threading.Thread(target=self._print_lines, args=[name, popen.stdout], daemon=True)
        reader.start()
        threading.Thread(target=self._report_end, args=[process, reader], daemon=True).start()

    def _print_lines(self, name: str, output: IO[bytes]) -> None:
        for line in output:
            self._printer.print(name, line.decode(errors="replace").rstrip("\r\n"))

    def _report_end(self, process: _Process, reader: threading.Thread) -> None:
        process.popen.wait()
        # Children of a killed process would keep its port and its output open.
        process.kill_group(signal.SIGKILL)
        self._guard.remove(process.popen.pid)
        # A child can have left the process group, so the wait has a timeout.
        reader.join(_LAST_LINES_TIMEOUT_SECONDS)
        self._events.put(process)

    def _end_all(self) -> None:
        """End all processes and wait until they have ended."""
        self._send(signal.SIGTERM)
        deadline = time.monotonic() + KILL_AFTER_SECONDS
        killed = False
        while self._running:
            timeout = None if killed else max(0.0, deadline - time.monotonic())
            try:
                event = self._events.get(timeout=timeout)
            except Empty:
                self._send(signal.SIGKILL)
                killed = True
                continue
            if isinstance(event, _Process):
                del self._running[event.name]
                self._printer.print("system", event.ending())

    def _send(self, number: signal.Signals) -> None:
        for name, process in self._running.items():
            pid = process.popen.pid
            self._printer.print("system", f"sending {number.name} to {name} (pid {pid})")
            process.kill_group(number)


def _environment() -> dict[str, str]:
    """Return the environment of the processes: programs of this Python environment come first."""
    folder = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        # This process reads their output as UTF-8.
        "PYTHONIOENCODING": "utf-8",
        # `manage.py run` has run the checks. Celery would repeat them in three processes, and import the whole API.
        "CELERY_SKIP_CHECKS": "true",
    }
