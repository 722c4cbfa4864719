"""A real deployment as processes, for the tests that talk to one over its sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
READY_SECONDS = 180
_OTHERS = ("HEADEND_", "SIMULATION", "DATABASE_URL", "EXPORTS_", "CELERY_", "READINGS_")
"""How settings begin that are the tests' own."""
END_SECONDS = 30
SAY_SECONDS = 20


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Deployment:
    """What `make run` starts, in a home of its own, on free ports."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)
    http_port: int = field(default_factory=free_port)
    sftp_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment its processes run in."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OTHERS)}
        return kept | {
            "HEADEND_HOME": str(self.home),
            "HEADEND_PORT": str(self.http_port),
            "SFTP_PORT": str(self.sftp_port),
            **self.extra,
        }

    @property
    def log(self) -> str:
        """All that it has printed."""
        path = self.home.with_suffix(".log")
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Deployment:
        """Start it and wait until it says that it is ready."""
        before = self.log.count("apiGatewayInvokeURL")
        with self.home.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, so that a signal reaches it as a terminal's Ctrl-C would.
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while self.log.count("apiGatewayInvokeURL") == before:
            assert self.process.poll() is None, f"it ended:\n{self.log}"
            assert time.monotonic() < deadline, f"it is not ready:\n{self.log}"
            time.sleep(0.1)
        return self

    def wait_for_log(self, text: str) -> bool:
        """Whether ``text`` is in :attr:`log`, or soon will be: what its processes print takes a way there."""
        deadline = time.monotonic() + SAY_SECONDS
        while text not in self.log:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(END_SECONDS)

    def stop(self) -> None:
        """End it, however it does."""
        if self.process is not None and self.process.poll() is None:
            self.interrupt()

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command on it."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=check,
        )

    def outputs(self) -> dict[str, Any]:
        """What `manage.py outputs --json` prints."""
        printed: dict[str, Any] = json.loads(self.manage("outputs", "--json").stdout)
        return printed

    def processes(self) -> dict[int, str]:
        """Its living processes by pid, with their command lines: all that carry its home in their environment."""
        found = {}
        mark = f"HEADEND_HOME={self.home}\0".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes() + b"\0":
                    found[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    )
            except OSError:
                continue
        return found

    def answers(self) -> bool:
        """Whether its portal answers."""
        try:
            with urllib.request.urlopen(
                f"http://localhost:{self.http_port}/health/live", timeout=5
            ):
                return True
        except OSError:
            return False
