"""Run the processes of a Procfile in the foreground until a signal arrives or one of them ends.

``manage.py run`` replaces itself with this program (:func:`replace_process`). The program imports the
standard library and honcho's parser only, so it needs about 10 MB of memory; Django with both apps needs
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
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import IO

from honcho.environ import parse_procfile

KILL_AFTER_SECONDS = 5.0
"""How long a process may take to end after SIGTERM before it gets SIGKILL."""
READY_TIMEOUT_SECONDS = 120.0
_READY_POLL_SECONDS = 0.2
_CONNECT_TIMEOUT_SECONDS = 5.0
_LAST_LINES_TIMEOUT_SECONDS = 1.0
_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COLOURS = ("36", "33", "32", "35", "31", "34")
"""ANSI codes for the names of the processes: cyan, yellow, green, magenta, red, blue."""


@dataclass(frozen=True)
class Announcement:
    """A text to print when the web server and the SFTP server answer at their ports."""

    text: str
    host: str
    http_port: int
    sftp_port: int


def replace_process(procfile: Path, announcement: Announcement) -> None:
    """Replace the current process with a supervisor of ``procfile``; does not return.

    The process id and open inheritable files stay. A signal that arrives before the supervisor is ready
    is delivered then.
    """
    # Not an argument or a variable: other users could read the secrets in the text with ps.
    text = tempfile.TemporaryFile()  # noqa: SIM115 (the new program reads and closes it)
    text.write(announcement.text.encode())
    text.seek(0)
    os.set_inheritable(text.fileno(), True)  # noqa: FBT003 (the function's own interface)
    signal.pthread_sigmask(signal.SIG_BLOCK, _END_SIGNALS)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(  # noqa: S606 (no shell is what is wanted)
        sys.executable,
        [
            sys.executable,
            # This folder must not come first on the module path.
            "-P",
            __file__,
            str(procfile),
            f"--announcement={text.fileno()}",
            f"--host={announcement.host}",
            f"--http-port={announcement.http_port}",
            f"--sftp-port={announcement.sftp_port}",
        ],
    )


def run(procfile: Path, announcement: Announcement | None = None) -> int:
    """Run the processes of ``procfile`` and return the exit code for this process.

    The first SIGINT, SIGTERM or SIGHUP (a closed terminal) ends all processes; the code is then 0. If a
    process ends by itself, the others are ended too, because a deployment with a part missing looks
    healthy; the code is then that process's own, or 1 instead of 0.
    """
    commands = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    supervisor = _Supervisor(_Printer(["system", *commands]))
    if announcement is not None:
        threading.Thread(target=_announce, args=[announcement], daemon=True).start()
    return supervisor.run(commands, procfile.parent)


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


class _Supervisor:
    """Starts processes, prints their output, and ends them together."""

    def __init__(self, printer: _Printer) -> None:
        self._printer = printer
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # What the main thread waits for: a signal, or the name of a process that has ended. A signal
        # handler may put into a SimpleQueue even while the main thread reads from it.
        self._events: SimpleQueue[signal.Signals | str] = SimpleQueue()

    def run(self, commands: dict[str, str], folder: Path) -> int:
        for number in _END_SIGNALS:
            signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _END_SIGNALS)
        for name, command in commands.items():
            # Start no further process if a signal has arrived or a process has ended.
            if self._events.empty():
                self._start(name, command, folder)
        code = 0
        if not self._events.empty() or self._running:
            code = self._handle(self._events.get())
            self._end_all()
        return code

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._events.put(signal.Signals(number))

    def _start(self, name: str, command: str, folder: Path) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A terminal's Ctrl-C then reaches this process only, which ends the others in order.
            start_new_session=True,
        )
        self._running[name] = process
        self._printer.print("system", f"{name} started (pid={process.pid})")
        assert process.stdout is not None
        reader = threading.Thread(
            target=self._print_lines, args=[name, process.stdout], daemon=True
        )
        reader.start()
        threading.Thread(target=self._report_end, args=[name, process, reader], daemon=True).start()

    def _print_lines(self, name: str, output: IO[bytes]) -> None:
        for line in output:
            self._printer.print(name, line.decode(errors="replace").rstrip("\r\n"))

    def _report_end(
        self, name: str, process: subprocess.Popen[bytes], reader: threading.Thread
    ) -> None:
        process.wait()
        # A child of the process may keep the output open, so the wait has a timeout.
        reader.join(_LAST_LINES_TIMEOUT_SECONDS)
        self._events.put(name)

    def _handle(self, event: signal.Signals | str) -> int:
        """Print the event and return the exit code to use if it was the first."""
        if isinstance(event, signal.Signals):
            self._printer.print("system", f"{event.name} received")
            return 0
        code = self._running.pop(event).returncode
        self._printer.print("system", f"{event} stopped (rc={code})")
        return code or 1

    def _end_all(self) -> None:
        """End all processes and wait until they have ended."""
        self._send(signal.SIGTERM)
        deadline = time.monotonic() + KILL_AFTER_SECONDS
        killed = False
        while self._running:
            timeout = None if killed else max(0.0, deadline - time.monotonic())
            try:
                self._handle(self._events.get(timeout=timeout))
            except Empty:
                self._send(signal.SIGKILL)
                killed = True

    def _send(self, number: signal.Signals) -> None:
        for name, process in self._running.items():
            self._printer.print("system", f"sending {number.name} to {name} (pid {process.pid})")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def _environment() -> dict[str, str]:
    """Return the environment of the processes: programs of this Python environment come first.

    ``manage.py run`` has run the system checks. Celery would repeat them in three processes, and import the whole
    API for this.
    """
    folder = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        # This process reads their output as UTF-8.
        "PYTHONIOENCODING": "utf-8",
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
    parser.add_argument(
        "--announcement", type=int, required=True, help="file descriptor of the text"
    )
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
