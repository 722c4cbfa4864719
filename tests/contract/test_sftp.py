"""The SFTP server works with the clients that suppliers use, and refuses everything except reading."""

from __future__ import annotations

import asyncio
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest

from exports.credentials import new_private_key
from tests.contract.conftest import Supplier
from tests.contract.test_files import fetch, poll_until_final

HANDLES = 1_000
SSH_OPTIONS = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]  # fmt: skip


@pytest.fixture(scope="module")
def location(supplier: Supplier, newest: list[str]) -> str:
    """The sftp_location of a completed request for two intervals: a file of about 4 MB."""
    request_id = supplier.request_file(start_date=newest[0], end_date=newest[1])
    return str(poll_until_final(supplier, request_id)[-1]["sftp_location"])


@pytest.fixture(scope="module")
def content(supplier: Supplier, location: str) -> bytes:
    """The content of that file."""
    return fetch(supplier, location)


@pytest.fixture
def sftp(supplier: Supplier) -> Any:
    """An SFTP session with paramiko."""
    with supplier.transport() as transport, transport.open_sftp_client() as client:
        yield client


def batch(
    supplier: Supplier,
    folder: Path,
    *commands: str,
    private_key: Path | None = None,
    user: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run SFTP commands with the OpenSSH client, in ``folder``."""
    return subprocess.run(
        [
            *["sftp", *SSH_OPTIONS, "-o", "IdentitiesOnly=yes", "-b", "-"],
            *["-i", str(private_key or supplier.private_key), "-P", str(supplier.sftp_port)],
            f"{user or supplier.user}@{supplier.sftp_host}",
        ],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=False,
    )


def test_openssh_lists_and_downloads_a_file(
    supplier: Supplier, location: str, content: bytes, tmp_path: Path
) -> None:
    request_id, _, name = location.partition("/")
    done = batch(supplier, tmp_path, "ls -l", f"ls -l {request_id}", f"get {location} whole.gz")
    assert done.returncode == 0, done.stderr
    assert request_id in done.stdout
    assert f"{len(content)}" in done.stdout
    assert name in done.stdout
    assert (tmp_path / "whole.gz").read_bytes() == content


def test_openssh_resumes_a_partial_download(
    supplier: Supplier, location: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "half.gz").write_bytes(content[: len(content) // 2])
    done = batch(supplier, tmp_path, f"reget {location} half.gz")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "half.gz").read_bytes() == content


def test_openssh_downloads_a_folder_with_its_modification_times(
    supplier: Supplier, location: str, content: bytes, tmp_path: Path
) -> None:
    done = batch(supplier, tmp_path, f"get -rp {location.partition('/')[0]}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / location).read_bytes() == content


def test_paramiko_reads_the_file_its_ranges_and_its_attributes(
    sftp: paramiko.SFTPClient, location: str, content: bytes, tmp_path: Path
) -> None:
    sftp.get(location, str(tmp_path / "file.gz"))
    assert (tmp_path / "file.gz").read_bytes() == content
    with sftp.open(location) as file:
        file.seek(len(content) - 100)
        assert file.read() == content[-100:]
        assert file.read() == b""
        file.seek(7)
        assert file.read(9) == content[7:16]
    attributes = sftp.stat(location)
    assert attributes.st_size == len(content)
    assert stat.S_ISREG(attributes.st_mode or 0)
    assert stat.S_ISDIR(sftp.stat(location.partition("/")[0]).st_mode or 0)


def test_asyncssh_downloads_the_file_and_lists_its_folder(
    supplier: Supplier, location: str, content: bytes, tmp_path: Path
) -> None:
    async def get() -> list[str]:
        async with (
            asyncssh.connect(
                supplier.sftp_host,
                supplier.sftp_port,
                username=supplier.user,
                client_keys=[str(supplier.private_key)],
                known_hosts=None,
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            await client.get(location, tmp_path / "file.gz")
            return [str(name) for name in await client.listdir(location.partition("/")[0])]

    assert location.partition("/")[2] in asyncio.run(get())
    assert (tmp_path / "file.gz").read_bytes() == content


def test_the_folder_of_a_request_contains_only_its_file(
    sftp: paramiko.SFTPClient, location: str
) -> None:
    request_id, _, name = location.partition("/")
    assert request_id in sftp.listdir("/")
    assert sftp.listdir(request_id) == [name]


def test_two_sessions_read_the_same_file_at_the_same_time(
    supplier: Supplier, location: str, content: bytes
) -> None:
    with supplier.transport() as transport:
        first, second = transport.open_sftp_client(), transport.open_sftp_client()
        with first.open(location) as one, second.open(location) as other:
            assert one.read(1000) + one.read(1000) == other.read(2000) == content[:2000]


@pytest.mark.parametrize(
    "path",
    [
        "../../../etc/passwd",
        "/etc/passwd",
        "/../etc/passwd",
        "{id}/../../../../etc/passwd",
        "{id}/..",
        "//etc/passwd",
        "{id}/nothing.gz",
        "{id}/./../{id}x/f.gz",
        ".parts",
        "{ID}/{name}",
        "55e3059d-6274-4d97-89a8-40ca93bcd084/run-1-part-r-00000.gz",
        "x" * 10_000,
        "a\x00b",
        "%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_home_folder(
    sftp: paramiko.SFTPClient, location: str, path: str
) -> None:
    request_id, _, name = location.partition("/")
    text = path.format(id=request_id, ID=request_id.upper(), name=name)
    with pytest.raises(OSError, match=r".*"):
        sftp.open(text)
    assert location in [f"{request_id}/{entry}" for entry in sftp.listdir(request_id)]


@pytest.mark.parametrize("path", ["..", "/..", "../../..", "/", ".", ""])
def test_the_parent_of_the_home_folder_is_the_home_folder(
    sftp: paramiko.SFTPClient, path: str, location: str
) -> None:
    assert sftp.normalize(path) == "/"
    assert location.partition("/")[0] in sftp.listdir(path or ".")


WRITES: dict[str, Any] = {
    "write": lambda sftp, at: sftp.open("new.gz", "w"),
    "write into a folder": lambda sftp, at: sftp.open(f"{at.partition('/')[0]}/new.gz", "w"),
    "overwrite": lambda sftp, at: sftp.open(at, "w"),
    "append": lambda sftp, at: sftp.open(at, "a"),
    "read and write": lambda sftp, at: sftp.open(at, "r+"),
    "truncate": lambda sftp, at: sftp.truncate(at, 0),
    "rename": lambda sftp, at: sftp.rename(at, "other.gz"),
    "posix rename": lambda sftp, at: sftp.posix_rename(at, "other.gz"),
    "remove": lambda sftp, at: sftp.remove(at),
    "mkdir": lambda sftp, at: sftp.mkdir("folder"),
    "rmdir": lambda sftp, at: sftp.rmdir(at.partition("/")[0]),
    "chmod": lambda sftp, at: sftp.chmod(at, 0o777),
    "chown": lambda sftp, at: sftp.chown(at, 0, 0),
    "utime": lambda sftp, at: sftp.utime(at, (0, 0)),
    "symlink": lambda sftp, at: sftp.symlink("/etc", "link"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_every_operation_that_writes_is_denied(
    sftp: paramiko.SFTPClient, location: str, content: bytes, write: Any
) -> None:
    with pytest.raises(PermissionError):
        write(sftp, location)
    with sftp.open(location) as file:
        file.prefetch()
        assert file.read() == content


def test_a_client_with_a_thousand_open_handles_does_not_disturb_others(
    supplier: Supplier, sftp: paramiko.SFTPClient, location: str, content: bytes
) -> None:
    opened, refused = [], 0
    for _ in range(HANDLES):
        try:
            opened.append(sftp.open(location))
        except OSError:
            refused += 1
    assert 0 < len(opened) < HANDLES
    assert opened[0].read(100) == content[:100]
    assert fetch(supplier, location) == content
    for file in opened:
        file.close()
    with sftp.open(location) as file:
        assert file.read(10) == content[:10]
    assert refused == HANDLES - len(opened)


def test_a_wrong_key_and_an_unknown_user_get_the_same_answer(
    supplier: Supplier, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_text(new_private_key())
    stranger.chmod(0o600)
    wrong_key = batch(supplier, tmp_path, "ls", private_key=stranger)
    unknown_user = batch(supplier, tmp_path, "ls", user="nobody-here")
    assert wrong_key.returncode == unknown_user.returncode == 255
    assert "Permission denied (publickey)" in wrong_key.stderr
    assert wrong_key.stderr.replace(supplier.user, "X") == unknown_user.stderr.replace(
        "nobody-here", "X"
    )


@pytest.mark.parametrize("how", ["password", "keyboard", "none"])
def test_public_key_is_the_only_authentication_method(supplier: Supplier, how: str) -> None:
    with paramiko.Transport((supplier.sftp_host, supplier.sftp_port)) as transport:
        transport.start_client(timeout=30)
        ask = {
            "password": lambda: transport.auth_password(supplier.user, "secret", fallback=False),
            "keyboard": lambda: transport.auth_interactive(supplier.user, lambda *_: ["secret"]),
            "none": lambda: transport.auth_none(supplier.user),
        }[how]
        with pytest.raises(paramiko.BadAuthenticationType) as refusal:
            ask()  # type: ignore[no-untyped-call] # paramiko's auth_interactive has no types
        assert refusal.value.allowed_types == ["publickey"]


def test_shells_commands_and_tunnels_are_refused(supplier: Supplier) -> None:
    with supplier.transport() as transport:
        with pytest.raises(paramiko.SSHException):
            transport.open_session().exec_command("id")
        with pytest.raises(paramiko.SSHException):
            transport.open_session().invoke_shell()
        with pytest.raises(paramiko.ChannelException):
            transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1))
        with pytest.raises(paramiko.SSHException):
            transport.request_port_forward("", 0)


@pytest.mark.parametrize(
    "greeting", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096, b"SSH-2.0-x\r\n" + b"\xff" * 4096]
)
def test_a_client_that_does_not_speak_ssh_does_not_disturb_others(
    supplier: Supplier, greeting: bytes
) -> None:
    with socket.create_connection((supplier.sftp_host, supplier.sftp_port), timeout=30) as raw:
        raw.sendall(greeting)
    with supplier.transport() as transport:
        assert transport.is_authenticated()
