"""The deployment that is attacked: its ports, two suppliers with their keys, and one file of each."""

from __future__ import annotations

import http.client
import io
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import paramiko

from tests.deployment import Deployment

ATTACKER, INNOCENT = "127.0.0.1", "127.0.0.2"
"""The addresses that the clients connect from."""
TIMEOUT_SECONDS = 60.0

_SET_UP = """
import json
from datetime import datetime, timedelta, UTC
from exports.file_requests import FileSpec, accept
from exports.models import ApiKey, Supplier
from exports.suppliers.hand_over import create_api_key, create_key_pair
end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
labels = ["first", "second"]
made = {}
for name in ("attacker", "innocent"):
    supplier, _ = Supplier.objects.get_or_create(name=name)
    request = accept(supplier, FileSpec(end - timedelta(minutes=10), end))
    # The attacker's second keys are taken away during the attacks.
    made[name] = [
        {
            "name": name,
            "api_key": create_api_key(supplier, label),
            "private_key": create_key_pair(supplier, label).private_key,
            "request": str(request.pk),
        }
        for label in labels
    ]
print(json.dumps(made))
"""


@dataclass(frozen=True)
class Supplier:
    """A supplier's credentials, and the id of its file request."""

    name: str
    api_key: str
    private_key: str
    request: str


@dataclass(frozen=True)
class Target:
    """A running deployment with an attacker and an innocent supplier."""

    deployment: Deployment
    attacker: Supplier
    second_keys: Supplier
    """The attacker with other keys. They can be taken away."""
    innocent: Supplier

    @classmethod
    def of(cls, deployment: Deployment) -> Target:
        """Create both suppliers in a running deployment, and wait for their files."""
        made = json.loads(
            deployment.manage("shell", "--verbosity", "0", "--command", _SET_UP).stdout
        )
        target = cls(
            deployment,
            Supplier(**made["attacker"][0]),
            Supplier(**made["attacker"][1]),
            Supplier(**made["innocent"][0]),
        )
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not target.file_of(target.attacker).get("sftp_location"):
            assert time.monotonic() < deadline, deployment.log
            time.sleep(0.1)
        return target

    def file_of(self, supplier: Supplier) -> Any:
        """Return the status of a supplier's file request."""
        _, body = self.call("GET", f"/readings/file?request_id={supplier.request}", supplier)
        return json.loads(body)

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """The deployment's database. It commits each statement."""
        path = self.deployment.home / "headend.sqlite3"
        with closing(sqlite3.connect(path, TIMEOUT_SECONDS, isolation_level=None)) as connection:
            yield connection

    def http_socket(self, source: str = ATTACKER) -> socket.socket:
        """Return a connection to the web server."""
        return self._socket(self.deployment.http_port, source)

    def sftp_socket(self, source: str = ATTACKER) -> socket.socket:
        """Return a connection to the SFTP server."""
        return self._socket(self.deployment.sftp_port, source)

    @contextmanager
    def sftp(self, supplier: Supplier, source: str = ATTACKER) -> Iterator[paramiko.Transport]:
        """A logged-in SSH connection of a supplier. Raises paramiko's errors, ``OSError`` and ``EOFError``."""
        with self.sftp_socket(source) as connection:
            transport = log_in(connection, supplier)
            try:
                yield transport
            finally:
                transport.close()

    def call(
        self,
        method: str,
        path: str,
        supplier: Supplier | None = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        source: str = ATTACKER,
    ) -> tuple[int, bytes]:
        """Return status and body of the answer to one request on a new connection."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.deployment.http_port, TIMEOUT_SECONDS, source_address=(source, 0)
        )
        authorization = {"Authorization": f"Token {supplier.api_key}"} if supplier else {}
        try:
            connection.request(method, path, body, {**authorization, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @staticmethod
    def _socket(port: int, source: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS, (source, 0))


def log_in(connection: socket.socket, supplier: Supplier) -> paramiko.Transport:
    """Log in over a connection to the SFTP server. Raises paramiko's errors and ``EOFError``."""
    transport = paramiko.Transport(connection)
    transport.banner_timeout = transport.auth_timeout = TIMEOUT_SECONDS
    try:
        transport.start_client(timeout=TIMEOUT_SECONDS)
        key = paramiko.RSAKey.from_private_key(io.StringIO(supplier.private_key))
        transport.auth_publickey(supplier.name, key)
    except Exception:
        transport.close()
        raise
    return transport
