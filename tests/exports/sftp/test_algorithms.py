"""The SFTP server offers only strong algorithms, and old ones only if ``SFTP_LEGACY_ALGORITHMS`` is on."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from exports.delivery import push_connection
from exports.models import FileRequest, SshKey
from exports.sftp.host_keys import host_keys, known_hosts_lines
from exports.sftp.legacy_algorithms import LegacyRSAKey
from exports.sftp.transport import ServerTransport
from tests.exports.conftest import running_sftp_server
from tests.suppliers import file_path, write_private_key

HOST_KEY_TYPES = ["ssh-ed25519", "ssh-rsa"]
LEGACY_HOST_KEY_TYPES = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
OLD = {
    "kex": [
        *("diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"),
        *("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"),
    ],
    "key": ["ecdsa-sha2-nistp256", "ssh-rsa"],
    "mac": ["hmac-sha2-256", "hmac-sha2-512"],
}


@pytest.fixture
def legacy_port(transactional_db: None, starts_processes: None) -> Iterator[int]:
    """Run an SFTP server for old clients and return its port."""
    keys = host_keys(legacy_algorithms=True)
    with running_sftp_server(keys=keys, legacy_algorithms=True) as port:
        yield port


def audit(port: int, *options: str) -> dict[str, Any]:
    """Return ssh-audit's report."""
    done = subprocess.run(
        [
            *[str(Path(sys.executable).with_name("ssh-audit")), "--json", *options],
            *["--port", str(port), "127.0.0.1"],
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def complaints(report: dict[str, Any]) -> dict[str, list[str]]:
    """Return the failures and warnings of ssh-audit, for each algorithm that has some."""
    return {
        algorithm["algorithm"]: found
        for kind in ("kex", "key", "enc", "mac")
        for algorithm in report[kind]
        if (found := algorithm["notes"].get("fail", []) + algorithm["notes"].get("warn", []))
    }


def offered(report: dict[str, Any], kind: str) -> list[str]:
    """Return the names that the server offers, in its order."""
    return [algorithm["algorithm"] for algorithm in report[kind]]


def test_ssh_audit_finds_no_failure_and_old_algorithms_are_offered_only_on_request(
    sftp_port: int, legacy_port: int
) -> None:
    # The report includes the test of how fast one address can open connections.
    report, legacy = audit(sftp_port), audit(legacy_port, "--skip-rate-test")
    # ssh-audit accepts only the post-quantum algorithm, which comes first. Clients older than OpenSSH 9.9 do not
    # have it, but all of them have curve25519.
    no_protection = ["does not provide protection against post-quantum attacks"]
    assert complaints(report) == {
        "curve25519-sha256": no_protection,
        "curve25519-sha256@libssh.org": no_protection,
    }
    assert report["additional_notes"] == []
    assert offered(report, "key") == ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"]
    exchanges, ciphers = offered(report, "kex"), offered(report, "enc")
    assert {"curve25519-sha256", "curve25519-sha256@libssh.org"} < set(exchanges)
    assert ciphers[:2] == ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com"]
    assert not [name for name in ciphers if "cbc" in name]

    for kind in ("kex", "key", "enc", "mac"):
        added = [name for name in offered(legacy, kind) if name not in offered(report, kind)]
        assert added == OLD.get(kind, []), kind
    assert offered(legacy, "key")[-1] == "ssh-rsa"
    # The reason why there is no ECDSA host key by default.
    ecdsa = next(each for each in legacy["key"] if each["algorithm"] == "ecdsa-sha2-nistp256")
    assert ecdsa["notes"]["fail"]


def test_pushes_use_no_weak_cipher_or_checksum() -> None:
    pushes, server = push_connection._Transport, ServerTransport
    assert pushes._preferred_ciphers == server._preferred_ciphers
    assert pushes._preferred_macs[: len(server._preferred_macs)] == server._preferred_macs
    assert not [name for name in pushes._preferred_macs if "md5" in name or "sha1" in name]
    assert pushes._preferred_kex[: len(server._preferred_kex)] == server._preferred_kex
    assert not [name for name in pushes._preferred_kex if name.endswith("sha1")]


@pytest.fixture
def openssh(
    alices_key: tuple[SshKey, paramiko.PKey], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Fetch a file as Alice with OpenSSH's ``sftp`` and its options; the server is one of ``known_hosts``."""
    key, known_hosts = write_private_key("alice", tmp_path), tmp_path / "known_hosts"

    def run(port: int, location: str, *options: str) -> subprocess.CompletedProcess[str]:
        known_hosts.write_text(known_hosts_lines("127.0.0.1", port))
        strict = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}", *options)
        return subprocess.run(
            [
                *["sftp", "-i", str(key), "-P", str(port)],
                *(word for option in strict for word in ("-o", option)),
                *[f"alice@127.0.0.1:{location}", "fetched.gz"],
            ],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    "option",
    [
        *(f"HostKeyAlgorithms={name}" for name in ("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")),
        *(f"Ciphers={name}" for name in ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com")),
        *(
            f"KexAlgorithms={name}"
            for name in ("curve25519-sha256", "curve25519-sha256@libssh.org")
        ),
        "MACs=hmac-sha2-512-etm@openssh.com",
    ],
)
def test_openssh_fetches_with_each_algorithm(
    openssh: Callable[..., subprocess.CompletedProcess[str]],
    sftp_port: int,
    completed: FileRequest,
    tmp_path: Path,
    option: str,
) -> None:
    # AES-GCM contains a MAC, so the cipher must be another one if the MAC is tested.
    ciphers = ["Ciphers=aes128-ctr"] if option.startswith("MACs=") else []
    done = openssh(sftp_port, completed.location, option, *ciphers)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fetched.gz").read_bytes() == file_path(completed.location).read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ("HostKeyAlgorithms=ssh-rsa",),
        ("PubkeyAcceptedAlgorithms=ssh-rsa",),
        ("HostKeyAlgorithms=ssh-rsa", "PubkeyAcceptedAlgorithms=ssh-rsa"),
        ("KexAlgorithms=ecdh-sha2-nistp256", "HostKeyAlgorithms=ecdsa-sha2-nistp256"),
        ("KexAlgorithms=diffie-hellman-group14-sha256",),
        ("MACs=hmac-sha2-256", "Ciphers=aes128-ctr"),
    ],
)
def test_openssh_with_old_algorithms_is_accepted_only_if_they_are_on(
    openssh: Callable[..., subprocess.CompletedProcess[str]],
    sftp_port: int,
    legacy_port: int,
    completed: FileRequest,
    tmp_path: Path,
    settings: Settings,
    options: tuple[str, ...],
) -> None:
    settings.SFTP_LEGACY_ALGORITHMS = True  # the lines for known_hosts then contain the ECDSA key
    refused = openssh(sftp_port, completed.location, *options)
    assert refused.returncode == 255
    assert not (tmp_path / "fetched.gz").exists()
    done = openssh(legacy_port, completed.location, *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fetched.gz").read_bytes() == file_path(completed.location).read_bytes()


def test_a_sha_1_signature_of_another_key_is_refused() -> None:
    key, other = (LegacyRSAKey(key=paramiko.RSAKey.generate(2048).private_key) for _ in range(2))
    signature = key.sign_ssh_data(b"data", "ssh-rsa").asbytes()
    assert key.verify_ssh_sig(b"data", paramiko.Message(signature))
    assert not key.verify_ssh_sig(b"other data", paramiko.Message(signature))
    assert not other.verify_ssh_sig(b"data", paramiko.Message(signature))
    # Without the setting, the same signature is refused.
    modern = paramiko.RSAKey(data=key.asbytes())
    assert not modern.verify_ssh_sig(b"data", paramiko.Message(signature))


@pytest.mark.parametrize(
    ("legacy", "types"), [(False, HOST_KEY_TYPES), (True, LEGACY_HOST_KEY_TYPES)]
)
def test_the_host_keys_do_not_change_and_known_hosts_lists_those_that_the_server_has(
    settings: Settings, types: list[str], *, legacy: bool
) -> None:
    settings.SFTP_LEGACY_ALGORITHMS = legacy
    keys = host_keys(legacy_algorithms=legacy)
    assert [key.get_name() for key in keys] == types
    again = host_keys(legacy_algorithms=legacy)
    assert [key.fingerprint for key in again] == [key.fingerprint for key in keys]
    lines = known_hosts_lines("sftp.example", 2222).splitlines()
    assert lines == [f"[sftp.example]:2222 {key.get_name()} {key.get_base64()}" for key in keys]


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.starts_processes
def test_the_server_warns_at_its_start_if_old_algorithms_are_on(
    settings: Settings, log_lines: Callable[[], list[dict[str, Any]]], *, on: bool
) -> None:
    settings.SFTP_LEGACY_ALGORITHMS = on
    # The second port is in use, so the command ends after the warning.
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        settings.SFTP_METRICS_PORT = taken.getsockname()[1]
        settings.SFTP_PORT = free.getsockname()[1]
        free.close()
        with pytest.raises(Exception, match="SFTP_METRICS_PORT"):
            call_command("sftpserver")
    warnings = [line["message"] for line in log_lines() if line["level"] == "WARNING"]
    assert [("SFTP_LEGACY_ALGORITHMS is on" in line) for line in warnings] == ([True] if on else [])
