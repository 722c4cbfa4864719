"""Start a deployment as processes, for tests that connect to its ports."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ports import unused_port
from tests.services.server_process import start_process

ROOT = Path(__file__).parent.parent
READY_SECONDS = 300
END_SECONDS = 60
LOG_SECONDS = 60
HTTP_SECONDS = 30
SETTINGS = (
    "HEADEND_", "SIMULATION", "DATABASE_URL", "EXPORTS_", "CELERY_", "READINGS_", "SECRETS_", "SFTP_", "WEBHOOK_",
    "METRICS_", "LOG_LEVEL", "WEB_", "POLARS_", "TOKIO_",
)  # fmt: skip
"""Prefixes of settings, and of variables of libraries.

A deployment of the tests does not inherit them from their environment.
"""


def share_set_up(home: Path) -> None:
    """Put collected static files and an empty database into a home folder without them, so that its set-up is short.

    Collecting the files and migrating take some seconds of processor time. Only the first deployment of a run of
    the tests does it; the others get links to its files and a copy of its database.
    """
    shared = os.environ.get("TESTS_SHARED_FOLDER")
    if shared is None:
        return
    folder = Path(shared)
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _COMPLETE).exists():
            first = Deployment(folder)
            environment = first.environment | {"DJANGO_SETTINGS_MODULE": "headend.settings"}
            subprocess.run([sys.executable, "-c", _SET_UP], cwd=ROOT, env=environment, check=True)
            (folder / _COMPLETE).touch()
    if not (home / "static").exists():
        shutil.copytree(folder / "static", home / "static", copy_function=os.link)
    if not (home / _DATABASE).exists():
        shutil.copy(folder / _DATABASE, home / _DATABASE)


_PRINTED_OUTPUT = re.compile(r"^  (\w+)  +(\S.*)$", re.MULTILINE)
_WEB_ARGUMENTS = ("headend.wsgi", "--config", "headend/http/gunicorn_config.py")
_COMPLETE = "complete"
_DATABASE = "headend.sqlite3"
_SET_UP = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from headend.deployment.static_files import collect_static_files
collect_static_files()
call_command("migrate", verbosity=0)
connection.close()
"""

_COMMANDS = """
import contextlib, io, json, sys
from headend import command_line
printed = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["manage.py", *command]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            command_line.main()
        except SystemExit as end:  # as after --help
            if end.code:
                raise
    printed.append(output.getvalue())
print(json.dumps(printed))
"""


@dataclass
class Deployment:
    """The processes that ``make run`` starts, with their own home folder, on free ports.

    ``extra`` adds settings. The output of all processes is in :attr:`log`.
    """

    home: Path
    extra: dict[str, str] = field(default_factory=dict)
    http_port: int = field(default_factory=unused_port)
    sftp_port: int = field(default_factory=unused_port)
    process: subprocess.Popen[bytes] | None = None
    _outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of its processes."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
        return inherited | {
            "HEADEND_HOME": str(self.home),
            "HEADEND_PORT": str(self.http_port),
            "SFTP_PORT": str(self.sftp_port),
            # Each process of the web server takes more than a second of processor time to start.
            "WEB_WORKERS": "1",
            **self.extra,
        }

    @property
    def log(self) -> str:
        """Everything that its processes have printed since the first start."""
        path = self.home.with_suffix(".log")
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *, shares_set_up: bool = True) -> Deployment:
        """Start the deployment and wait until it prints that it is ready."""
        if shares_set_up:
            share_set_up(self.home)
        before = self.log.count("apiGatewayInvokeURL")
        process = self.start_without_waiting()
        deadline = time.monotonic() + READY_SECONDS
        while self.log.count("apiGatewayInvokeURL") == before:
            assert process.poll() is None, (
                f"The deployment ended with {process.poll()}:\n{self.log}"
            )
            assert time.monotonic() < deadline, f"The deployment is not ready:\n{self.log}"
            time.sleep(0.1)
        return self

    def start_without_waiting(self) -> subprocess.Popen[bytes]:
        """Start the deployment."""
        with self.home.with_suffix(".log").open("ab") as log:
            # With its own process group, it receives signals like Ctrl-C in a terminal.
            self.process = start_process(
                [sys.executable, "manage.py", "run"],
                folder=ROOT,
                environment=self.environment,
                log=log,
            )
        return self.process

    def start_web_server(self) -> Deployment:
        """Start only the web server of a deployment that is set up, and wait until it answers."""
        with self.home.with_suffix(".log").open("ab") as log:
            self.process = start_process(
                [str(Path(sys.executable).with_name("gunicorn")), *_WEB_ARGUMENTS],
                folder=ROOT,
                environment=self.environment,
                log=log,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)
        return self

    def wait_for_log(self, text: str, *, times: int = 1) -> bool:
        """Wait a minute at most until ``text`` occurs ``times`` times in :attr:`log`. Return whether it does."""
        deadline = time.monotonic() + LOG_SECONDS
        while self.log.count(text) < times:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def interrupt(self) -> int:
        """Interrupt all its processes like Ctrl-C, and return the exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(END_SECONDS)

    def stop(self) -> None:
        """Stop the deployment if it runs; ignore the exit code."""
        if self.process is not None and self.process.poll() is None:
            self.interrupt()

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command with its settings."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=check,
        )

    def manage_each(self, *commands: tuple[str, ...]) -> list[str]:
        """Run management commands in one process, and return what each prints. Fails if one of them fails.

        A process for each command would take one to two seconds of processor time longer.
        """
        done = subprocess.run(
            [sys.executable, "-c", _COMMANDS, json.dumps(commands)],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        printed: list[str] = json.loads(done.stdout)
        return printed

    def set_up(self, *commands: tuple[str, ...]) -> None:
        """Set the deployment up without starting it, and run management commands. All of this is one process."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        share_set_up(self.home)
        printed = self.manage_each(("setup",), *commands, ("outputs", "--json"))
        self._outputs = json.loads(printed[-1])

    def outputs(self) -> dict[str, Any]:
        """Return the values that ``manage.py outputs --json`` prints.

        They are those that the deployment printed when it was ready: the command takes almost two seconds of processor
        time. It runs only if the deployment has not been started.
        """
        if not self._outputs:
            self._outputs = {
                name: int(value) if value.isdecimal() else value
                for name, value in _PRINTED_OUTPUT.findall(self.log)
            }
        if not self._outputs:
            self._outputs = json.loads(self.manage("outputs", "--json").stdout)
        return self._outputs

    def processes(self) -> dict[int, str]:
        """Return the command lines of its running processes by pid: those with its home folder in their environment."""
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

    def started(self, name: str) -> list[int]:
        """Return the ids of the processes of this name in the Procfile, in the order in which they were started."""
        return [int(pid) for pid in re.findall(rf"{name} started \(pid=(\d+)\)", self.log)]

    def answers(self) -> bool:
        """Return whether its web server answers."""
        try:
            with urllib.request.urlopen(
                f"http://localhost:{self.http_port}/health/live", timeout=HTTP_SECONDS
            ):
                return True
        except OSError:
            return False
