"""Fixtures for tests of exports: a separate exports folder for each test, and an SFTP server with a client."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import paramiko
import pytest
from pytest_django.fixtures import Settings

from exports import credentials
from exports.models import SshKey, Supplier
from exports.sftp.host_keys import host_keys
from exports.sftp.server import Listener
from headend.config.secrets import FileSecrets
from tests.suppliers import private_key_of

Connect = Callable[[], AbstractContextManager[paramiko.Transport]]


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true. Fail if it is not within 30 seconds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def separate_exports_folder(exports_folder: Path) -> None:
    """Apply the fixture ``exports_folder`` to every test in this folder."""


@pytest.fixture
def own_secrets(settings: Settings, tmp_path: Path) -> FileSecrets:
    """A secrets store of this test only: for tests that rotate secrets. Other tests share one."""
    store = settings.SECRETS = FileSecrets(tmp_path / "secrets")
    return store


@cache
def loaded_host_keys() -> list[paramiko.PKey]:
    """Return the server's host keys. A process loads them once: an RSA key takes a tenth of a second to check."""
    return host_keys()


@cache
def loaded_key_of(name: str) -> tuple[str, paramiko.RSAKey]:
    """Return the public and the private key for a name. A process loads them once."""
    private = private_key_of(name)
    return credentials.public_key_of(private), paramiko.RSAKey.from_private_key(
        io.StringIO(private)
    )


@contextmanager
def running_listener(keys: list[paramiko.PKey] | None = None, **options: Any) -> Iterator[Listener]:
    """Run an SFTP server with these host keys and options of :class:`Listener`, and yield it."""
    listener = Listener("127.0.0.1", 0, keys or loaded_host_keys(), **options)
    thread = threading.Thread(target=listener.serve)
    thread.start()
    try:
        yield listener
    finally:
        listener.stop()
        thread.join()


@contextmanager
def running_sftp_server(keys: list[paramiko.PKey] | None = None, **options: Any) -> Iterator[int]:
    """Run an SFTP server with these host keys and options of :class:`Listener`, and yield its port."""
    with running_listener(keys, **options) as listener:
        yield listener.port


@pytest.fixture
def sftp_port(transactional_db: None, starts_processes: None) -> Iterator[int]:
    """Run an SFTP server on the test's database and return its port."""
    with running_sftp_server() as port:
        yield port


@pytest.fixture
def alices_key(alice: Supplier) -> tuple[SshKey, paramiko.PKey]:
    """Alice's SSH key: the stored public key and the private key."""
    public, private = loaded_key_of("alice")
    stored = SshKey.objects.create(
        supplier=alice, public_key=public, fingerprint=credentials.fingerprint(public)
    )
    return stored, private


@pytest.fixture
def connect(sftp_port: int, alices_key: tuple[SshKey, paramiko.PKey]) -> Connect:
    """Return a context manager that connects to the SFTP server as Alice.

    The server records the end of a session after the client has disconnected, so tests have to wait for it.
    """

    @contextmanager
    def connected() -> Iterator[paramiko.Transport]:
        transport = paramiko.Transport(("127.0.0.1", sftp_port))
        try:
            transport.connect(username="alice", pkey=alices_key[1])
            yield transport
        finally:
            transport.close()

    return connected
