"""During a rotation of the host keys, OpenSSH clients learn the next keys from the server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from exports.models import SshKey
from exports.sftp import host_keys
from exports.sftp.host_key_announcement import PROOF_REQUEST
from tests.exports.conftest import running_sftp_server
from tests.suppliers import write_private_key


def line_of(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


@pytest.fixture
def keys(own_secrets: None) -> list[paramiko.PKey]:
    """The host keys, and then the next ones."""
    current = host_keys.host_keys()
    host_keys.prepare_next()
    return [*current, *host_keys.next_host_keys()]


@pytest.fixture
def port(
    transactional_db: None, starts_processes: None, keys: list[paramiko.PKey]
) -> Iterator[int]:
    """The port of a server that announces the next keys."""
    with running_sftp_server(keys[:2], next_host_keys=keys[2:]) as port:
        yield port


@pytest.mark.parametrize("known", [0, 1], ids=["ed25519", "rsa"])
def test_openssh_adds_the_next_keys_to_known_hosts(
    port: int,
    keys: list[paramiko.PKey],
    alices_key: tuple[SshKey, paramiko.PKey],
    tmp_path: Path,
    known: int,
) -> None:
    identity, known_hosts = write_private_key("alice", tmp_path), tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {line_of(keys[known])}\n")
    options = [
        "StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}", "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=yes", "LogLevel=ERROR",
    ]  # fmt: skip
    words = [word for option in options for word in ("-o", option)]
    done = subprocess.run(
        ["sftp", "-i", str(identity), "-P", str(port), *words, "-b", "-", "alice@127.0.0.1"],
        input="ls", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {line.partition(" ")[2] for line in known_hosts.read_text().splitlines()} == {
        line_of(key) for key in keys
    }


def test_only_announced_keys_are_proved_and_only_once(
    port: int, keys: list[paramiko.PKey], alices_key: tuple[SshKey, paramiko.PKey]
) -> None:
    blobs = [key.asbytes() for key in keys]
    for requested, count in ((blobs, 4), ([blobs[2], blobs[2]], 0), ([b"another"], 0)):
        with paramiko.Transport(("127.0.0.1", port)) as client:
            client.connect(username="alice", pkey=alices_key[1])
            answer = client.global_request(PROOF_REQUEST.decode(), requested, wait=True)
            assert (answer is not None) == bool(count)
            if answer is not None:
                assert client.session_id
                signed = paramiko.Message()
                for part in (PROOF_REQUEST, client.session_id, blobs[3]):
                    signed.add_string(part)
                signatures = [answer.get_binary() for _ in range(count)]
                assert keys[3].verify_ssh_sig(signed.asbytes(), paramiko.Message(signatures[3]))
            assert client.global_request(PROOF_REQUEST.decode(), blobs, wait=True) is None
