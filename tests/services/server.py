"""A server as a process of the tests' own: started, stopped, killed and started again in one place."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

READY_SECONDS = 60
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOG_TAIL = 4000
# The kernel takes the death of the thread that started a process for the death of its parent. This
# thread lives as long as the interpreter; a test's own thread may start a server and end.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starter of servers")


class ServerError(Exception):
    """A server did not start."""


class Server(ABC):
    """A server in a folder, on ports that stay its own when it is started again.

    It dies with the process that started it (on Linux), whatever ends that process.
    """

    stop_seconds = 10.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = steady_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """How a deployment names it."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program, by its path, and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it does its work; may raise ``OSError`` while it does not."""

    def prepare(self) -> None:
        """Make what a start needs and is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def user(self) -> str | None:
        """The system's user it runs as; None for the one who runs the tests."""
        return None

    @property
    def environment(self) -> dict[str, str]:
        """What it is told beside its arguments."""
        return {}

    def start(self) -> Self:
        """Start it, or start it again on the same ports and data, and wait until it answers.

        Raises :class:`ServerError`, with the end of its log, when it ends or does not answer within a minute.
        """
        self.prepare()
        self.process = _starter.submit(self._launch).result()
        try:
            self._wait_until_it_answers(self.process)
        except BaseException:
            # A Ctrl-C while it starts, too, leaves nothing behind.
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it as its administrators would; SIGKILL when it takes longer than ``stop_seconds``."""
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
        """What asks it to end."""
        return signal.SIGTERM

    def kill(self) -> None:
        """SIGKILL; nothing of it runs when this returns."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log_tail(self) -> str:
        """The last of what it printed."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _launch(self) -> subprocess.Popen[bytes]:
        as_user = ["--user", self.user] if self.user else []
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", str(_LAUNCHER), *as_user, *self.command()],
                cwd=self.folder,
                # Its own home: nobody's settings or credentials reach it.
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "LC_ALL": "C.UTF-8",
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A terminal's Ctrl-C reaches the tests, which then end the server when they are done with it.
                start_new_session=True,
            )

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if process.poll() is not None:
                ending = f"{type(self).__name__} ended with {process.returncode}"
                raise ServerError(f"{ending}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{type(self).__name__} does not answer:\n{self.log_tail()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
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


def steady_port() -> int:
    """A free port that stays free while its server is down.

    The kernel hands out ports from 32768 up to outgoing connections: a client that tries to reach a dead
    server could be given the server's own.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
