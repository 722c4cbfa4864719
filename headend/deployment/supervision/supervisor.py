"""Run the processes of a Procfile in the foreground until a signal arrives. A process that dies is started again.

A guard process ends them if this process is killed. This process forks, so it has only one thread.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from . import process
from .child import END_SIGNALS
from .guard import KILL_AFTER_SECONDS, Guard
from .process import Process, Program

MAX_DEATHS = 5
"""After this many deaths of one process in a row, the deployment ends."""
STABLE_SECONDS = 60.0
"""When a process has run this long, its earlier deaths no longer count."""
FIRST_PAUSE_SECONDS = 0.5
"""The pause before a process is started again. It doubles after each further death in a row."""
_COLOURS = ("36", "33", "32", "35", "31", "34")
"""ANSI codes for the names of the processes: cyan, yellow, green, magenta, red, blue."""


def run(
    commands: Mapping[str, str],
    *,
    program: Callable[[str], Program | None] = lambda _: None,
    announcer: int | None = None,
    own_descriptors: Iterable[int] = (),
) -> int | Program:
    """Run the processes of a Procfile and return the exit code for this process.

    The first SIGINT, SIGTERM or SIGHUP (a closed terminal) ends all processes; the code is then 0. A process that
    ends by itself is started again. After :data:`MAX_DEATHS` deaths of a process in a row all processes end, and
    the code is 1.

    Return the exit code in the supervisor, and in each forked process the program that it must run. The processes share
    the memory of all modules that are imported now.

    Args:
        commands: The shell command of each process by name.
        program: Returns what a forked process does for a command, or None if a shell must run the command.
        announcer: The id of the child that announces the servers. It is killed with the processes if it still runs.
        own_descriptors: Open files of this process that no other process may have.
    """
    programs = {
        name: program(command) or process.shell(command, environment())
        for name, command in commands.items()
    }
    guard = Guard()
    supervisor, pid = _Supervisor(programs, guard, announcer, own_descriptors), os.getpid()
    try:
        return supervisor.run()
    finally:
        # Also after an error, such as a failed fork: no process may stay behind. A forked process ends nothing.
        if os.getpid() == pid:
            supervisor.end_all()
            guard.end()


def environment() -> dict[str, str]:
    """Return the environment of the processes. Programs of this Python environment come first in ``PATH``."""
    folder = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        # The supervisor reads their output as UTF-8.
        "PYTHONIOENCODING": "utf-8",
        # `manage.py run` has checked the settings. Celery would run all checks in three processes, and import the whole API.
        "CELERY_SKIP_CHECKS": "true",
    }


class Deaths:
    """Counts the deaths of each process in a row."""

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


class _Supervisor:
    """Starts processes, prints their output, starts them again when they die, and ends them together."""

    def __init__(
        self,
        programs: dict[str, Program],
        guard: Guard,
        announcer: int | None,
        own_descriptors: Iterable[int],
    ) -> None:
        self._programs = programs
        self._guard = guard
        self._width = max(map(len, ["system", *programs]))
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._colours = dict(zip(programs, _COLOURS, strict=False)) if coloured else {}
        self._running: dict[str, Process] = {}
        self._announcer = announcer
        if announcer is not None:
            guard.add(announcer)
        self._deaths = Deaths()
        # When to start each process that does not run, in seconds of the monotonic clock.
        self._due = dict.fromkeys(programs, 0.0)
        # Python writes the number of each signal that arrives into this pipe.
        self._signals, self._signals_end = os.pipe()
        os.set_blocking(self._signals, False)
        os.set_blocking(self._signals_end, False)
        self._own_descriptors = [self._signals, self._signals_end, *own_descriptors]

    def run(self) -> int | Program:
        """Run the processes. Return the exit code, or in a forked process what it must do."""
        signal.set_wakeup_fd(self._signals_end, warn_on_full_buffer=False)
        for number in (*END_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)
        code = None if self._programs else 0
        while code is None:
            for name in [name for name, due in self._due.items() if due <= time.monotonic()]:
                del self._due[name]
                if not self._start(name):
                    return self._programs[name]
            self._wait(min(self._due.values(), default=None))
            code = self._end_signal()
            if code is None:
                code = self._plan_restarts()
        return code

    def end_all(self) -> None:
        """End all processes and wait until they have ended."""
        self._send(signal.SIGTERM)
        if self._announcer is not None:
            os.kill(self._announcer, signal.SIGKILL)
        deadline: float | None = time.monotonic() + KILL_AFTER_SECONDS
        while self._running:
            self._wait(deadline)
            for _, ending in self._reap():
                self._print("system", ending)
            self._end_signal()
            if deadline is not None and time.monotonic() >= deadline:
                self._send(signal.SIGKILL)
                deadline = None

    def _start(self, name: str) -> bool:
        """Start the process. Return False in the new process."""
        started = process.start(name, self._close_own_descriptors)
        if started is None:
            return False
        self._guard.add(started.pid)
        self._running[name] = started
        self._print("system", f"{name} started (pid={started.pid})")
        return True

    def _close_own_descriptors(self) -> None:
        for descriptor in self._own_descriptors:
            os.close(descriptor)
        for other in self._running.values():
            os.close(other.output)
        self._guard.close()

    def _wait(self, until: float | None) -> None:
        """Print what the processes print, until a signal arrives or until this time of the monotonic clock."""
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        printing = {each.output: each for each in self._running.values() if each.output_is_open}
        for output in printing:
            poll.register(output, select.POLLIN)
        timeout = None if until is None else max(0.0, until - time.monotonic()) * 1000
        for descriptor, _ in poll.poll(timeout):
            if descriptor in printing:
                self._print_each(printing[descriptor].name, printing[descriptor].lines())

    def _end_signal(self) -> int | None:
        """Return the exit code if a signal has arrived that ends the deployment."""
        with suppress(BlockingIOError):
            for number in os.read(self._signals, 4096):
                if number in END_SIGNALS:
                    self._print("system", f"{signal.Signals(number).name} received")
                    return 0
        return None

    def _plan_restarts(self) -> int | None:
        """Plan the next start of each process that has died. Return the exit code if one has died too often."""
        for died, ending in self._reap():
            pause = self._deaths.pause_after(died.name, time.monotonic() - died.started)
            if pause is None:
                reason = f"{ending}, after {MAX_DEATHS - 1} other deaths in a row"
                self._print("system", f"{reason}; the deployment ends")
                return 1
            self._print("system", f"{ending}; it starts again in {pause:g} s")
            self._due[died.name] = time.monotonic() + pause
        return None

    def _reap(self) -> Iterator[tuple[Process, str]]:
        """Yield each process that has ended, and how it has ended in words."""
        for each in [*self._running.values()]:
            ending = each.ending()
            if ending is not None:
                # Children of a killed process would keep its port and its output open.
                each.kill_group(signal.SIGKILL)
                self._guard.remove(each.pid)
                del self._running[each.name]
                self._print_each(each.name, each.read_rest_and_close())
                yield each, ending
        if self._announcer is not None and os.waitpid(self._announcer, os.WNOHANG)[0]:
            self._guard.remove(self._announcer)
            self._announcer = None

    def _send(self, number: signal.Signals) -> None:
        for name, each in self._running.items():
            self._print("system", f"sending {number.name} to {name} (pid {each.pid})")
            each.kill_group(number)

    def _print_each(self, name: str, lines: Iterable[str]) -> None:
        for line in lines:
            self._print(name, line)

    def _print(self, name: str, line: str) -> None:
        prefix = f"{time.strftime('%H:%M:%S')} {name:<{self._width}} |"
        if name in self._colours:
            prefix = f"\033[{self._colours[name]}m{prefix}\033[0m"
        # If the terminal is closed, the processes must still be read and ended.
        with suppress(OSError):
            sys.stdout.write(f"{prefix} {line}\n")
            sys.stdout.flush()
