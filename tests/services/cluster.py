"""A deployment of many processes on real servers, whose members can be killed and come back."""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from honcho.environ import parse_procfile

from tests.deployment import ROOT, Deployment
from tests.services.servers import AWS, Postgres, SeaweedFS, Valkey

RESTART_SECONDS = 0.5
HTTP_SECONDS = 30


_ATTEMPTS = """
from exports.models import ExportPart, FileRequest
print(list(FileRequest.objects.order_by("pk").values_list("pk", "attempts", "finished_at")))
print(list(ExportPart.objects.order_by("pk").values_list("pk", "attempts", "written_at")))
"""


@dataclass
class Servers:
    """What the members share."""

    postgres: Postgres
    seaweedfs: SeaweedFS
    valkey: Valkey


@dataclass
class Member:
    """One process of the cluster, started again whenever it ends."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = True

    def keep_running(self) -> None:
        """What a supervisor on a host does."""
        while self.wanted:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command, cwd=ROOT, env=self.environment, stdout=log,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            self.process.wait()
            time.sleep(RESTART_SECONDS)

    def kill(self) -> bool:
        """SIGKILL to it and all its children; whether there was something to kill."""
        process = self.process
        if process is None or process.poll() is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


@dataclass
class Cluster:
    """Web, beat, SFTP and some workers, each as the Procfile has it."""

    folder: Path
    servers: Servers
    workers: int = 2
    threads: int = 2
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
                **self.extra,
            },
        )
        self.home = self._command_line.home
        self.manage = self._command_line.manage

    @property
    def environment(self) -> dict[str, str]:
        """What its processes run in."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return self._command_line.environment | {"PATH": path}

    def set_up(self) -> None:
        """What `manage.py setup` does, once for all hosts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.manage("setup")
        self.outputs = self._command_line.outputs()

    def start(self, **environments: dict[str, str]) -> None:
        """Start every member; ``environments`` adds to that of the named ones."""
        procfile = parse_procfile((ROOT / "Procfile").read_text()).processes
        names = [
            "web",
            "beat",
            "sftp",
            "deliveries",
            *(f"worker{number}" for number in range(self.workers)),
        ]
        for name in names:
            kind = name.rstrip("0123456789")
            member = Member(
                name,
                self._command(procfile[kind]),
                self.environment | environments.get(kind, {}),
                self.folder / f"{name}.log",
            )
            self.members[name] = member
            threading.Thread(target=member.keep_running, daemon=True).start()
        deadline = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < deadline, self.log("web")
            time.sleep(0.1)

    def _command(self, line: str) -> list[str]:
        threads = line.replace("--concurrency 2", f"--concurrency {self.threads}")
        return shlex.split(threads)[1:]  # without its `exec`, which is the shell's

    def stop(self) -> None:
        """End all members."""
        for member in self.members.values():
            member.wanted = False
            member.kill()

    def log(self, name: str) -> str:
        """The last of what a member printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-5000:]

    def attempts(self) -> str:
        """How often each request and each part was begun."""
        return self.manage("shell", "--verbosity", "0", "--command", _ATTEMPTS).stdout

    def call(self, method: str, path: str, **request: Any) -> requests.Response:
        """Call the API as the default supplier. Raises ``requests.RequestException``."""
        headers = {
            "Authorization": f"Token {self.outputs['ApiKey']}",
            **request.pop("headers", {}),
        }
        url = self.outputs["apiGatewayInvokeURL"] + path
        return requests.request(method, url, headers=headers, timeout=HTTP_SECONDS, **request)

    def patient_call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Call until there is an answer, as a client does whose server goes and comes."""
        deadline = time.monotonic() + 120
        while True:
            try:
                answer = self.call(method, path, **request)
                if answer.status_code == 200:
                    body: dict[str, Any] = answer.json()
                    return body
                assert answer.status_code in (429, 503), answer.text
            except requests.RequestException:
                pass
            assert time.monotonic() < deadline, self.log("web")
            time.sleep(0.3)

    def _answers(self) -> bool:
        try:
            return self.call("GET", "/health/live").status_code == 200
        except requests.RequestException:
            return False
