"""A server that the tests start, stop, kill and restart as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.ports import unused_port

READY_SECONDS = 300
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOG_TAIL = 4000
# For the kernel, a process has lost its parent when the thread that started it ends. So this thread, which
# lives as long as the interpreter, starts all programs: a thread of a test can end before its program.
_starter = ThreadPoolExecutor(1, thread_name_prefix="program-starter")


class ServerError(Exception):
    """A server did not start."""


def start_process(
    command: list[str], *, folder: Path, environment: dict[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program in ``folder``, in its own process group. All that it prints is written to ``log``.

    On Linux it ends when this process ends, even if this process is killed. ``command`` has the arguments of
    ``launcher.py``.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", str(_LAUNCHER), *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal stops the tests, and the tests then stop the program.
            start_new_session=True,
        )

    return _starter.submit(start).result()


class Server(ABC):
    """A server with its data in ``folder``. It keeps its ports when it is restarted.

    On Linux it ends when the process that started it ends, even if that process is killed.
    """

    stop_seconds = 10.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = unused_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL for the settings of a deployment."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the path of the program, and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the server works. Can raise ``OSError`` while it does not."""

    def prepare(self) -> None:
        """Create the files that the server needs to start, if they are missing."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def user(self) -> str | None:
        """The system user that it runs as, or None for the user who runs the tests."""
        return None

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that it needs."""
        return {}

    def start(self) -> Self:
        """Start or restart the server with the same ports and data, and wait until it is ready.

        Raises :class:`ServerError`, with the end of its log, if it ends or is not ready in time.
        """
        self.prepare()
        self.process = self._launch()
        try:
            self._wait_until_ready(self.process)
        except BaseException:
            # No process may remain, not even after Ctrl-C.
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop the server with its normal signal, or with SIGKILL after ``stop_seconds``."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def stop_signal(self) -> signal.Signals:
        """The signal of a normal stop."""
        return signal.SIGTERM

    def kill(self) -> None:
        """Stop the server with SIGKILL, and wait until it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Let the server hang: it keeps its connections and answers nothing until :meth:`resume`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server continue, with all that clients have sent meanwhile."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def log_tail(self) -> str:
        """Return the end of its output."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _launch(self) -> subprocess.Popen[bytes]:
        as_user = ["--user", self.user] if self.user else []
        with self._log.open("ab") as log:
            return start_process(
                [*as_user, *self.command()],
                folder=self.folder,
                # Its own home folder, so that it does not find a user's settings or credentials.
                environment={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "LC_ALL": "C.UTF-8",
                    **self.environment,
                },
                log=log,
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if process.poll() is not None:
                ending = f"{type(self).__name__} ended with {process.returncode}"
                raise ServerError(f"{ending}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{type(self).__name__} is not ready:\n{self.log_tail()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self.is_ready()
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
