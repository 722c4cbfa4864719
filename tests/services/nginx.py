"""nginx in front of web processes, with the example of deploy/nginx/headend.conf."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.deployment import ROOT
from tests.ports import unused_port
from tests.services.server_process import Server

EXAMPLE = ROOT / "deploy" / "nginx" / "headend.conf"
_FIRST_SERVER = "    server 127.0.0.1:8000 max_fails=0;\n"


def nginx_program() -> str | None:
    """Return the path of nginx, or None if it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class Nginx(Server):
    """A proxy with TLS for the web processes at ``web_ports``. Its name is ``localhost``."""

    def __init__(self, folder: Path, web_ports: Sequence[int]) -> None:
        super().__init__(folder)
        self.web_ports = web_ports
        self._http_port = unused_port()

    @property
    def url(self) -> str:
        """``HEADEND_PUBLIC_URL``."""
        return f"https://localhost:{self.port}"

    @property
    def certificate(self) -> Path:
        """The certificate of the proxy, which signs itself."""
        return self.folder / "fullchain.pem"

    def prepare(self) -> None:
        """Create the certificate, and write the configuration."""
        super().prepare()
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost",
                "-keyout", self.folder / "privkey.pem", "-out", self.certificate,
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        (self.folder / "headend.conf").write_text(self._example())
        folders = "".join(
            f"{name}_temp_path {self.folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx.conf").write_text(
            # One process: it ends when the tests end.
            "daemon off; master_process off; error_log stderr warn;\n"
            f"pid {self.folder}/pid; events {{}}\n"
            f"http {{ access_log off;\n{folders}include {self.folder}/headend.conf; }}\n"
        )

    def _example(self) -> str:
        """Return the example with the addresses, the name and the certificate of this test."""
        changes = {
            _FIRST_SERVER: "".join(
                _FIRST_SERVER.replace("8000", str(port)) for port in self.web_ports
            ),
            "listen 80;": f"listen 127.0.0.1:{self._http_port};",
            "    listen [::]:80;\n": "",
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "    listen [::]:443 ssl http2;\n": "",
            "server_name headend.example": "server_name localhost",
            "/etc/letsencrypt/live/headend.example": str(self.folder),
        }
        example = EXAMPLE.read_text()
        for old, new in changes.items():
            assert old in example, f"{EXAMPLE.name} has no {old!r}"
            example = example.replace(old, new)
        return example

    def command(self) -> list[str]:
        """Return a command that runs in the foreground."""
        program = nginx_program()
        assert program
        return [program, "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder)]

    def is_ready(self) -> bool:
        """Return whether it accepts a connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20):
            return True
