"""An SFTP server over the test's own database, and Alice as its client."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import paramiko
import pytest

from exports import credentials
from exports.models import SshKey, Supplier
from exports.sftp.host_keys import host_keys
from exports.sftp.server import Listener

Connect = Callable[[], AbstractContextManager[paramiko.Transport]]


@pytest.fixture
def sftp_port(transactional_db: None) -> Iterator[int]:
    """An SFTP server's port."""
    listener = Listener("127.0.0.1", 0, host_keys())
    thread = threading.Thread(target=listener.serve)
    thread.start()
    yield listener.port
    listener.stop()
    thread.join()


@pytest.fixture
def alices_key(alice: Supplier) -> tuple[SshKey, paramiko.PKey]:
    """Alice's key pair, as the server and as she has it."""
    private = credentials.new_private_key()
    public = credentials.public_key_of(private)
    known = SshKey.objects.create(
        supplier=alice, public_key=public, fingerprint=credentials.fingerprint(public)
    )
    return known, paramiko.RSAKey.from_private_key(io.StringIO(private))


@pytest.fixture
def connect(sftp_port: int, alices_key: tuple[SshKey, paramiko.PKey]) -> Connect:
    """Connects as Alice; the server has noted all when the block has ended and a listing is asked for again."""

    @contextmanager
    def connected() -> Iterator[paramiko.Transport]:
        transport = paramiko.Transport(("127.0.0.1", sftp_port))
        try:
            transport.connect(username="alice", pkey=alices_key[1])
            yield transport
        finally:
            transport.close()

    return connected
