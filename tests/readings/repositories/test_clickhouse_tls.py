"""TLS of the connection to ClickHouse: a certificate must be trusted."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from readings.repositories import open_repository
from readings.repository_errors import RepositoryUnavailableError


class AlwaysBroken(BaseHTTPRequestHandler):
    """Answers every call with an error of ClickHouse."""

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        text = b"Code: 243. DB::Exception: Disk is full. (NOT_ENOUGH_SPACE) (version 26.5.1.1)"
        self.send_response(500)
        self.send_header("X-ClickHouse-Exception-Code", "243")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log calls."""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate of 127.0.0.1 that no authority has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clickhouse")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """The port of a server with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = HTTPServer(("127.0.0.1", 0), AlwaysBroken)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_certificate_that_is_not_trusted_is_refused(port: int) -> None:
    with pytest.raises(RepositoryUnavailableError, match=r"not trusted. Add \?ca_cert=FILE"):
        open_repository(f"clickhouse://127.0.0.1:{port}/headend").snapshot()


def test_a_certificate_of_ca_cert_is_trusted(port: int, certificate: Path) -> None:
    with pytest.raises(RepositoryUnavailableError, match=r"refused a query. \(code 243: Disk is"):
        open_repository(f"clickhouse://127.0.0.1:{port}/headend?ca_cert={certificate}").snapshot()
