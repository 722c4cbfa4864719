"""``manage.py tour``: test a running deployment against the AWS guide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paramiko
import requests
from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from headend.config.program import PROGRAM
from headend.config.project_command import ProjectCommand
from headend.deployment import outputs
from headend.deployment.tour import Client, DifferenceError, KeyRefusedError, run_tour


class Command(ProjectCommand):
    """Uses a deployment as a supplier does, over HTTP and SFTP only."""

    help = (
        "Follow the guide's chapters on the REST API and on downloading files as a client does: get recent "
        "readings in pages, request a file of the same window, download it over SFTP and compare every "
        "reading. The exit code is 1 at the first difference. Without options, the command tests the "
        f"deployment of this HEADEND_HOME. Example: {PROGRAM} tour --url https://headend.example "
        "--sftp headend.example:22 --key hek_… --private-key private.pem"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the addresses and keys; their help texts name the guide's output values."""
        parser.add_argument("--url", help="apiGatewayInvokeURL")
        parser.add_argument("--sftp", metavar="HOST:PORT", help="SftpServerAddress and port")
        parser.add_argument("--user", default=settings.DEFAULT_SUPPLIER, help="SftpUserName")
        parser.add_argument("--key", help="API key")
        parser.add_argument("--private-key", type=Path, help="file with the RSA private key")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the tour and print each step."""
        client = _client(options)
        try:
            run_tour(client, lambda line: self.stdout.write(f"  {line}"))
        except DifferenceError as difference:
            raise CommandError(f"Different from the guide: {difference}") from None
        except KeyRefusedError as refusal:
            raise CommandError(f"{refusal} Use --key for another one.") from None
        except requests.RequestException as error:
            raise CommandError(_http_problem(client.url, error)) from None
        except (paramiko.SSHException, OSError) as error:
            raise CommandError(
                f"The SFTP server {client.sftp_host}:{client.sftp_port} cannot be used: {error}"
            ) from None
        self.stdout.write(self.style.SUCCESS("  ✓ the deployment behaves as the guide says"))


def _http_problem(url: str, error: requests.RequestException) -> str:
    """Return one or two sentences about a failed HTTP call. The library's own texts describe Python objects."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"{url}: there is no TLS connection. Is the certificate valid, and does the server use https?"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return (
            f"{url} does not answer. Is `{PROGRAM} run` running, and with the same HEADEND_PORT and"
            " HEADEND_PUBLIC_URL as this command?"
        )
    if isinstance(error, requests.JSONDecodeError):
        return f"{url} does not answer with JSON. Is it the address of a headend deployment?"
    return f"{url}: {error}"


def _client(options: dict[str, Any]) -> Client:
    is_complete = all(options[name] for name in ("url", "sftp", "key", "private_key"))
    # The deployment of this HEADEND_HOME has the defaults. It need not exist if no default is needed.
    own = None if is_complete else outputs.collect()
    host, _, port = (
        options["sftp"] or f"{own and own.sftp_address}:{own and own.sftp_port}"
    ).rpartition(":")
    if not (host and port.isdecimal()):
        raise CommandError(f"--sftp is {options['sftp']!r}; write HOST:PORT.")
    key_file = options["private_key"] or (own and own.private_key_file)
    try:
        private_key = paramiko.RSAKey.from_private_key_file(str(key_file))
    except (OSError, paramiko.SSHException) as error:
        raise CommandError(f"--private-key {key_file}: {error}") from None
    return Client(
        url=(options["url"] or (own.url if own else "")).rstrip("/"),
        api_key=options["key"] or (own.api_key if own else ""),
        sftp_host=host,
        sftp_port=int(port),
        user=options["user"],
        private_key=private_key,
    )
