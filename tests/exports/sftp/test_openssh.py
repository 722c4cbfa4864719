"""OpenSSH's clients fetch files twice, in large blocks and with exit code 0, and show usual modes and times."""

from __future__ import annotations

import hashlib
import random
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.sftp import CMD_EXTENDED, CMD_READ, int64

from exports.models import FileRequest, SshKey
from exports.sftp.attributes import listed_time
from exports.sftp.protocol import MAX_HANDLES
from exports.sftp.session import MAX_READ_BYTES
from tests.exports.conftest import Connect
from tests.suppliers import file_path, write_private_key

OpenSSH = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def openssh(sftp_port: int, alices_key: tuple[SshKey, paramiko.PKey], tmp_path: Path) -> OpenSSH:
    """Run ``sftp`` or ``scp`` as Alice in ``tmp_path``, with ``commands`` as standard input."""
    key = write_private_key("alice", tmp_path)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]

    def run(program: str, *words: str, commands: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *[program, "-i", str(key), "-P", str(sftp_port)],
                *(word for option in options for word in ("-o", option)),
                *words,
            ],
            input=commands, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
        )  # fmt: skip

    return run


def batch(openssh: OpenSSH, *commands: str, options: tuple[str, ...] = ()) -> str:
    """Run commands of ``sftp``, which must succeed, and return its output."""
    done = openssh("sftp", *options, "-b", "-", "alice@127.0.0.1", commands="\n".join(commands))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def send(sftp: Any, kind: int, *values: object) -> tuple[int, paramiko.Message]:
    """Send one request of SFTP and return the answer. paramiko's client has no public method for any request."""
    answer: tuple[int, paramiko.Message] = sftp._request(kind, *values)
    return answer


@pytest.fixture
def large(completed: FileRequest) -> FileRequest:
    """A completed request with a file of 700,001 bytes: three reads of 255 KiB."""
    content = random.Random(0).randbytes(700_001)
    file_path(completed.location).write_bytes(content)
    completed.size, completed.sha256 = len(content), hashlib.sha256(content).hexdigest()
    completed.save()
    return completed


def test_sftp_and_scp_fetch_all_folders_twice_into_the_same_folder(
    openssh: OpenSSH, completed: FileRequest, tmp_path: Path
) -> None:
    for target in ("sftp", "scp"):
        (tmp_path / target).mkdir()
        for _ in range(2):
            done = openssh(target, "-r", "alice@127.0.0.1:/", target)
            assert done.returncode == 0, done.stderr
        content = file_path(completed.location).read_bytes()
        [fetched] = (tmp_path / target).rglob("*.gz")
        assert fetched.read_bytes() == content
        for path in (fetched, fetched.parent):
            # The superuser can write everywhere, so the mode tells whether other users could.
            assert path.stat().st_mode & stat.S_IWUSR, path


def test_attributes_have_usual_modes(connect: Connect, completed: FileRequest) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        folder, file = sftp.stat(str(completed.pk)), sftp.lstat(completed.location)
        [listed_folder], [listed_file] = (
            sftp.listdir_attr("/"),
            sftp.listdir_attr(str(completed.pk)),
        )
        with sftp.open(completed.location) as opened:
            assert opened.stat().st_mode == 0o100644
    assert folder.st_mode == listed_folder.st_mode == 0o040755
    assert file.st_mode == listed_file.st_mode == 0o100644


def test_a_listing_has_the_form_of_ls(openssh: OpenSSH, completed: FileRequest) -> None:
    finished = datetime(2024, 3, 7, 23, 59, tzinfo=UTC)
    FileRequest.objects.update(
        submitted_at=finished, priority_at=finished, running_at=finished, finished_at=finished
    )
    folder = batch(openssh, "ls -l").splitlines()[-1]
    file = batch(openssh, f"ls -l {completed.pk}").splitlines()[-1]
    assert folder.split() == f"drwxr-xr-x 1 0 0 0 Mar 7 2024 {completed.pk}".split()
    size, name = completed.size, Path(completed.location).name
    assert file.split() == f"-rw-r--r-- 1 0 0 {size} Mar 7 2024 {name}".split()


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2026-11-06T03:29:40", "Nov  6 03:29"),
        ("2026-05-29T00:00:00", "May 29 00:00"),
        ("2026-05-27T23:59:59", "May 27  2026"),
        ("2026-11-26T00:00:01", "Nov 26  2026"),
        ("1970-01-01T00:00:00", "Jan  1  1970"),
    ],
)
def test_times_older_than_half_a_year_and_in_the_future_have_the_year(
    time: str, shown: str
) -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    assert listed_time(datetime.fromisoformat(time).replace(tzinfo=UTC), now) == shown


@pytest.mark.parametrize("options", [(), ("-B", "262144"), ("-B", "32768")])
def test_blocks_of_any_size_arrive_complete(
    openssh: OpenSSH, large: FileRequest, tmp_path: Path, options: tuple[str, ...]
) -> None:
    batch(openssh, f"get {large.location} whole.gz", options=options)
    assert (tmp_path / "whole.gz").read_bytes() == file_path(large.location).read_bytes()


def test_one_read_returns_at_most_255_kib(connect: Connect, large: FileRequest) -> None:
    assert MAX_READ_BYTES == 261_120
    with (
        connect() as transport,
        transport.open_sftp_client() as sftp,
        sftp.open(large.location) as file,
    ):
        # paramiko's own read asks for 32 KiB at most.
        _, reply = send(sftp, CMD_READ, file.handle, int64(0), 1_000_000)
        data = reply.get_string()
    assert data == file_path(large.location).read_bytes()[:261_120]


def test_the_limits_are_announced(connect: Connect, completed: FileRequest) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        _, reply = send(sftp, CMD_EXTENDED, "limits@openssh.com")
    assert [reply.get_int64() for _ in range(4)] == [262_144, 261_120, 0, MAX_HANDLES]


def test_df_shows_the_size_of_the_suppliers_files(openssh: OpenSSH, large: FileRequest) -> None:
    # 700,001 bytes are 171 blocks of 4 KiB.
    size = batch(openssh, "df").splitlines()[-1].split()
    assert size == ["684", "684", "0", "0", "100%"]
    # One file, its folder and the root folder.
    inodes = batch(openssh, f"df -i {large.location}").splitlines()[-1].split()
    assert inodes == ["3", "3", "0", "0", "100%"]


def test_df_works_without_files(openssh: OpenSSH) -> None:
    assert batch(openssh, "df").splitlines()[-1].split() == ["4", "4", "0", "0", "100%"]


def test_df_fails_for_a_missing_path(connect: Connect) -> None:
    with (
        connect() as transport,
        transport.open_sftp_client() as sftp,
        pytest.raises(FileNotFoundError),
    ):
        send(sftp, CMD_EXTENDED, "statvfs@openssh.com", "/nothing")


def test_other_extensions_are_answered_as_before(connect: Connect, completed: FileRequest) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        with pytest.raises(PermissionError, match="cannot be uploaded or changed"):
            sftp.posix_rename(completed.location, "other")
        with pytest.raises(OSError, match="unsupported"):
            send(sftp, CMD_EXTENDED, "unknown@example.com")


def test_a_session_ends_with_exit_status_0(connect: Connect, completed: FileRequest) -> None:
    with connect() as transport:
        channel = transport.open_session()
        channel.invoke_subsystem("sftp")
        channel.shutdown_write()
        assert channel.recv_exit_status() == 0
