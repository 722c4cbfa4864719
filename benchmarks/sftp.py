"""SFTP downloads of 500 MB with OpenSSH's client, compared with OpenSSH's ``sshd`` on the same machine."""

from __future__ import annotations

import os
import pwd
import random
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from benchmarks.ratio import Ratio, compare
from exports import credentials
from exports.models import FileRequest, SshKey, Status, Supplier
from tests.deployment import ROOT
from tests.services.server_process import Server
from tests.services.servers import AWS, SeaweedFS

SIZE = 500_000_000
SUPPLIER = "bench"
PARALLEL = 4
ROUNDS = 5
PEER = "OpenSSH's sshd with internal-sftp"
_CLIENT_OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")


class _SshServer(Server):
    """A server that sends its version to each client as soon as it is ready."""

    @property
    def url(self) -> str:
        return f"sftp://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"


class Sshd(_SshServer):
    """OpenSSH's server with a new host key and a short configuration. All other settings are Debian's defaults."""

    def __init__(self, folder: Path, public_key: str) -> None:
        super().__init__(folder)
        self._public_key = public_key

    def prepare(self) -> None:
        """Write the host key, the configuration and the key that may log in."""
        super().prepare()
        if os.getuid() == 0:
            # Debian's service creates this empty folder. Without it, sshd does not start as root.
            Path("/run/sshd").mkdir(exist_ok=True)
        host_key, authorized = self.folder / "host_key", self.folder / "authorized_keys"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)], check=True
        )
        authorized.write_text(self._public_key + "\n")
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {host_key}\nAuthorizedKeysFile {authorized}\n"
            "PidFile none\nStrictModes no\nUsePAM no\nSubsystem sftp internal-sftp\n"
        )

    def command(self) -> list[str]:
        """Return the command. sshd must be started by its whole path, because it executes itself again."""
        return ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "config")]


class Headend(_SshServer):
    """``manage.py sftpserver`` on the database of the benchmark, with another export store."""

    def __init__(self, folder: Path, exports_url: str) -> None:
        super().__init__(folder)
        self._exports_url = exports_url

    def command(self) -> list[str]:
        """Return the command of the Procfile."""
        return [sys.executable, str(ROOT / "manage.py"), "sftpserver"]

    @property
    def environment(self) -> dict[str, str]:
        """The settings."""
        return {
            **AWS,
            "HEADEND_HOME": os.environ["HEADEND_HOME"],
            "HEADEND_HOST": "127.0.0.1",
            "LOG_LEVEL": "WARNING",
            "SFTP_PORT": str(self.port),
            "EXPORTS_URL": self._exports_url,
        }


def measure(folder: Path) -> Iterator[Ratio]:
    """Store one file in a folder and in a bucket, and yield a ratio for each way to download it."""
    private_key = credentials.new_private_key()
    key = folder / "key.pem"
    key.write_text(private_key)
    key.chmod(0o600)
    public_key = credentials.public_key_of(private_key)
    request = _completed_request(public_key)
    file = folder / "store" / request.location
    _write_file(file)
    with ExitStack() as stack:
        sshd = stack.enter_context(Sshd(folder / "sshd", public_key))
        disk = stack.enter_context(Headend(folder / "disk", f"file://{folder / 'store'}"))
        seaweedfs = stack.enter_context(SeaweedFS(folder / "s3"))
        seaweedfs.client().upload_file(str(file), "headend", f"data/sftp/{request.location}")
        bucket = stack.enter_context(Headend(folder / "bucket", seaweedfs.url))

        ours, ours_from_s3 = (
            _downloads(server, SUPPLIER, request.location, key) for server in (disk, bucket)
        )
        theirs = _downloads(sshd, pwd.getpwuid(os.getuid()).pw_name, str(file), key)
        what = "SFTP get of 500 MB"
        yield compare(what, PEER, 0.7, lambda: ours(1), lambda: theirs(1), rounds=ROUNDS)
        yield compare(
            f"{what}, {PARALLEL} in parallel", PEER, 0.8,
            lambda: ours(PARALLEL), lambda: theirs(PARALLEL), rounds=3,
        )  # fmt: skip
        yield compare(
            f"{what}, from S3 (SeaweedFS)", f"{PEER}, from a folder", 0.6,
            lambda: ours_from_s3(1), lambda: theirs(1), rounds=ROUNDS,
        )  # fmt: skip


def _downloads(server: Server, user: str, path: str, key: Path) -> Callable[[int], None]:
    """Return a function that downloads ``path`` by some clients at once. All of them replace their earlier files."""
    targets = [key.with_name(f"fetched-{number}") for number in range(PARALLEL)]

    def download(target: Path) -> None:
        options = [word for option in _CLIENT_OPTIONS for word in ("-o", option)]
        command = ["sftp", "-b", "-", "-i", str(key), "-P", str(server.port), *options]
        subprocess.run(
            [*command, f"{user}@127.0.0.1"], input=f"get {path} {target}\n", text=True, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert target.stat().st_size == SIZE

    def download_all(clients: int) -> None:
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(download, targets[:clients]))

    return download_all


def _completed_request(public_key: str) -> FileRequest:
    """Store a supplier with a key and a completed request."""
    supplier = Supplier.objects.create(name=SUPPLIER)
    SshKey.objects.create(
        supplier=supplier, public_key=public_key, fingerprint=credentials.fingerprint(public_key)
    )
    now, pk = timezone.now(), uuid.uuid4()
    start = datetime(2024, 5, 1, tzinfo=UTC)
    return FileRequest.objects.create(
        pk=pk, supplier=supplier, start=start, end=start, status=Status.COMPLETED, snapshot="-", attempts=1,
        submitted_at=now, priority_at=now, running_at=now, finished_at=now, record_count=1,
        location=f"{pk}/run-1-part-r-00000.gz", size=SIZE, sha256="0" * 64,
        expires_at=now + timedelta(days=settings.EXPORTS_RETENTION_DAYS),
    )  # fmt: skip


def _write_file(path: Path) -> None:
    """Write bytes that do not compress, like those of a gzip file."""
    path.parent.mkdir(parents=True)
    generator = random.Random(0)
    with path.open("wb") as file:
        for _ in range(SIZE // 10**7):
            file.write(generator.randbytes(10**7))
