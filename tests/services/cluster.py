"""A deployment with several workers on real servers. Its processes restart when they are killed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests
from honcho.environ import parse_procfile

from tests.deployment import ROOT, Deployment
from tests.services.server_process import start_process
from tests.services.servers import AWS, Postgres, SeaweedFS, Valkey

RESTART_SECONDS = 0.5
READY_SECONDS = 300
HTTP_TIMEOUT_SECONDS = 60
RETRY_SECONDS = 300
STOP_SECONDS = 300
_LOG_TAIL = 5000

_ATTEMPTS = (
    "SELECT id, attempts, finished_at FROM exports_filerequest ORDER BY id",
    "SELECT id, attempts, written_at FROM exports_exportpart ORDER BY id",
)


@dataclass
class Servers:
    """The servers that all processes of a cluster use."""

    postgres: Postgres
    seaweedfs: SeaweedFS
    valkey: Valkey


@dataclass
class Member:
    """One process of the cluster."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    stopping: bool = False

    def run_until_stopped(self) -> None:
        """Start the process, and start it again when it ends, as the supervisor of a host does."""
        while not self.stopping:
            with self.log.open("ab") as log:
                self.process = start_process(
                    self.command, folder=ROOT, environment=self.environment, log=log
                )
            self.process.wait()
            time.sleep(RESTART_SECONDS)

    def kill(self) -> bool:
        """Send SIGKILL to the process and its children. Return False if it is not running."""
        process = self.process
        if process is None or process.poll() is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True

    def restart(self) -> int:
        """Send SIGTERM, as an operator does who restarts the process, and wait for its end. Return its exit code."""
        process = self.process
        assert process is not None
        process.terminate()
        return process.wait(STOP_SECONDS)


@dataclass
class Cluster:
    """The processes of the Procfile, with ``workers`` workers of ``threads`` threads each.

    Without ``serves_files``, it has no SFTP server and makes no deliveries. ``extra`` adds settings. The cluster has a
    separate database; its export store is ``prefix`` in the bucket. With ``web_ports``, it has a web process ``web0``,
    ``web1``, … at each of these ports.
    """

    folder: Path
    servers: Servers
    workers: int = 2
    threads: int = 2
    serves_files: bool = True
    web_ports: Sequence[int] = ()
    extra: dict[str, str] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        self.prefix = f"{name}/data/sftp"
        self._command_line = Deployment(
            self.folder / "home",
            {
                **AWS,
                "DATABASE_URL": self.servers.postgres.database(name),
                "EXPORTS_URL": self.servers.seaweedfs.url_by(
                    self.servers.seaweedfs.endpoint, self.prefix
                ),
                "CELERY_BROKER_URL": self.servers.valkey.url,
                "SIMULATION": "off",
                "SIMULATION_DEVICES": "2000",
                "EXPORTS_LEASE_SECONDS": "6",
                "EXPORTS_ATTEMPTS": "30",
                "EXPORTS_RUNNING_PER_SUPPLIER": "20",
                "WEB_WORKERS": "1",
                "CELERY_SKIP_CHECKS": "true",
                **self.extra,
            },
        )
        self.home = self._command_line.home
        self.manage = self._command_line.manage

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of its processes."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return self._command_line.environment | {"PATH": path}

    def set_up(self, *commands: tuple[str, ...]) -> None:
        """Run ``manage.py setup``, once for all processes, and then ``commands``."""
        self._command_line.set_up(*commands)
        self.outputs = self._command_line.outputs()

    def start(self, **environments: dict[str, str]) -> None:
        """Start all processes and wait until the API answers.

        ``environments`` adds variables by kind of process, such as ``worker``.
        """
        procfile = parse_procfile((ROOT / "Procfile").read_text()).processes
        ports = {f"web{number}": port for number, port in enumerate(self.web_ports)}
        names = [
            *(ports or ["web"]),
            "beat",
            *(["sftp", "deliveries"] if self.serves_files else []),
            *(f"worker{number}" for number in range(self.workers)),
        ]
        for name in names:
            kind = name.rstrip("0123456789")
            member = Member(
                name,
                self._command(procfile[kind]),
                self.environment
                | environments.get(kind, {})
                | ({"HEADEND_PORT": str(ports[name])} if name in ports else {}),
                self.folder / f"{name}.log",
            )
            self.members[name] = member
            threading.Thread(target=member.run_until_stopped, daemon=True).start()
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_live():
            assert time.monotonic() < deadline, self.log(names[0])
            time.sleep(0.1)

    def _command(self, line: str) -> list[str]:
        threads = line.replace("--concurrency 2", f"--concurrency {self.threads}")
        return shlex.split(threads)[1:]  # without `exec`, a command of the shell

    def stop(self) -> None:
        """Kill all processes."""
        for member in self.members.values():
            member.stopping = True
            member.kill()

    def log(self, name: str) -> str:
        """Return the last output of a process."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-_LOG_TAIL:]

    def attempts(self) -> list[tuple[Any, ...]]:
        """Return the attempts and end times of all file requests and parts."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            return [row for query in _ATTEMPTS for row in connection.execute(query).fetchall()]

    def call(self, method: str, path: str, **request: Any) -> requests.Response:
        """Call the API as the default supplier. Raises ``requests.RequestException``."""
        headers = {
            "Authorization": f"Token {self.outputs['ApiKey']}",
            **request.pop("headers", {}),
        }
        url = self.outputs["apiGatewayInvokeURL"] + path
        return requests.request(
            method, url, headers=headers, timeout=HTTP_TIMEOUT_SECONDS, **request
        )

    def call_with_retries(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Call the API until it answers 200, and return the JSON.

        Retries after connection errors and the statuses 429 and 503. Fails after :data:`RETRY_SECONDS`.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                response = self.call(method, path, **request)
                if response.status_code == 200:
                    body: dict[str, Any] = response.json()
                    return body
                assert response.status_code in (429, 503), response.text
            except requests.RequestException:
                pass
            assert time.monotonic() < deadline, self.log("web")
            time.sleep(0.3)

    def _is_live(self) -> bool:
        ports = self.web_ports or [self._command_line.http_port]
        urls = [f"http://127.0.0.1:{port}/health/live" for port in ports]
        try:
            return all(requests.get(url, timeout=HTTP_TIMEOUT_SECONDS).ok for url in urls)
        except requests.RequestException:
            return False
