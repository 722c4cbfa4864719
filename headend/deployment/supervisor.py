"""Run the processes of a Procfile in the foreground until a signal arrives. A process that dies is started again.

``manage.py run`` replaces itself with this program (:mod:`headend.deployment.launch`). The program imports the
standard library and honcho's parser only, so it needs about 22 MB of memory; Django with both apps needs
130 MB, which would stay in use as long as the deployment runs.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import signal
import socket
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

MAX_DEATHS = 5
"""The deployment ends after this many deaths of one process in a row."""
STABLE_SECONDS = 60.0
"""A process that has run this long was started well: its earlier deaths do not count any more."""
FIRST_PAUSE_SECONDS = 0.5
"""The pause before a process is started again. It doubles after each further death in a row."""
KILL_AFTER_SECONDS = 5.0
"""How long a process may take to end after SIGTERM before it gets SIGKILL."""
READY_TIMEOUT_SECONDS = 120.0
_READY_POLL_SECONDS = 0.2
_CONNECT_TIMEOUT_SECONDS = 5.0
_LAST_LINES_TIMEOUT_SECONDS = 1.0
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COLOURS = ("36", "33", "32", "35", "31", "34")
"""ANSI codes for the names of the processes: cyan, yellow, green, magenta, red, blue."""


@dataclass(frozen=True)
class Announcement:
    """A text to print when the web server and the SFTP server answer at their ports."""

    text: str
    host: str
    http_port: int
    sftp_port: int


def run(procfile: Path, announcement: Announcement | None = None) -> int:
    """Run the processes of ``procfile`` and return the exit code for this process.

    The first SIGINT, SIGTERM or SIGHUP (a closed terminal) ends all processes; the code is then 0. A process that
    ends by itself is started again. After :data:`MAX_DEATHS` deaths of a process in a row all processes end, and
    the code is 1.
    """
    commands = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    supervisor = _Supervisor(commands, procfile.parent)
    if announcement is not None:
        threading.Thread(target=_announce, args=[announcement], daemon=True).start()
    return supervisor.run()


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

    def __init__(self, commands: dict[str, str], folder: Path) -> None:
        self._commands = commands
        self._folder = folder
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


def _announce(announcement: Announcement) -> None:
    """Print the text when both servers answer, or an error after :data:`READY_TIMEOUT_SECONDS`."""
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_READY_POLL_SECONDS)
        if _web_answers(announcement) and _sftp_answers(announcement):
            sys.stdout.write(f"{announcement.text}\n")
            sys.stdout.flush()
            return
    sys.stderr.write(
        f"The web server or the SFTP server does not answer after {READY_TIMEOUT_SECONDS:g} s;"
        " the lines above may show why.\n"
    )


def _web_answers(announcement: Announcement) -> bool:
    connection = http.client.HTTPConnection(
        announcement.host, announcement.http_port, timeout=_CONNECT_TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _sftp_answers(announcement: Announcement) -> bool:
    address = (announcement.host, announcement.sftp_port)
    try:
        with socket.create_connection(address, timeout=_CONNECT_TIMEOUT_SECONDS) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _main() -> int:
    parser = argparse.ArgumentParser(description=run.__doc__)
    parser.add_argument("procfile", type=Path)
    parser.add_argument("--announcement", type=int, required=True, help="descriptor of the text")
    parser.add_argument("--host", required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--sftp-port", type=int, required=True)
    options = parser.parse_args()
    # The encoding of the output may lack characters of the lines to print.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with open(options.announcement, encoding="utf-8") as file:  # noqa: PTH123 (a descriptor, no path)
        text = file.read()
    announcement = Announcement(text, options.host, options.http_port, options.sftp_port)
    return run(options.procfile, announcement)


if __name__ == "__main__":
    sys.exit(_main())
