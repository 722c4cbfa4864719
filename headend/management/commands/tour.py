"""``manage.py tour``: the guide, played against a running deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paramiko
import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from headend.deployment import outputs
from headend.deployment.tour import Client, DifferenceError, play


class Command(BaseCommand):
    """Plays a supplier's part, over HTTP and SFTP alone."""

    help = (
        "Play the guide's chapters on the REST API and on downloading files as a client would: page "
        "through recent readings, request a file of the same, fetch it over SFTP and compare every "
        "reading. Exits 1 at the first difference. Without options, against the deployment that runs "
        "from this HEADEND_HOME. Example: python manage.py tour --url https://headend.example "
        "--sftp headend.example:22 --key hek_… --private-key private.pem"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Where, and as whom."""
        parser.add_argument("--url", help="apiGatewayInvokeURL")
        parser.add_argument("--sftp", metavar="HOST:PORT", help="SftpServerAddress and port")
        parser.add_argument("--user", default=settings.DEFAULT_SUPPLIER, help="SftpUserName")
        parser.add_argument("--key", help="API key")
        parser.add_argument("--private-key", type=Path, help="file with the RSA private key")

    def handle(self, *args: Any, **options: Any) -> None:
        """Play it."""
        try:
            play(_client(options), lambda line: self.stdout.write(f"  {line}"))
        except DifferenceError as difference:
            raise CommandError(f"Not as it should be: {difference}") from None
        except (requests.RequestException, paramiko.SSHException, OSError) as error:
            raise CommandError(f"The deployment cannot be reached: {error}") from None
        self.stdout.write(self.style.SUCCESS("  ✓ the tour found everything as the guide has it"))


def _client(options: dict[str, Any]) -> Client:
    given = [options[name] for name in ("url", "sftp", "key", "private_key")]
    own = None if all(given) else outputs.collect()
    host, _, port = (
        options["sftp"] or f"{own and own.sftp_address}:{own and own.sftp_port}"
    ).rpartition(":")
    if not (host and port.isdecimal()):
        raise CommandError(f"--sftp {options['sftp']}: write HOST:PORT.")
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
