"""The addresses, names and keys that a client of the deployment needs, with the AWS guide's names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from exports.sftp.host_keys import known_hosts_lines
from headend.config.program import PROGRAM
from headend.deployment import bootstrap
from readings.ingest.deployment_fleet import deployment_fleet
from readings.instants import format_instant
from readings.repositories import repository
from readings.repository_errors import RepositoryUnavailableError
from readings.window import Window


@dataclass(frozen=True)
class Outputs:
    """The output values that the AWS guide names, and those that an operator needs in addition."""

    url: str
    api_key: str
    sftp_address: str
    sftp_port: int
    sftp_user: str
    secret_name: str
    private_key_file: str
    known_hosts_file: str
    operator_url: str
    operator: str
    operator_password: Callable[[], str]
    """A function, because scripts do not need it: comparing a password with its hash takes 0.4 seconds."""

    def as_json(self) -> dict[str, str | int]:
        """Return the values with the names that scripts rely on."""
        return {
            "apiGatewayInvokeURL": self.url,
            "ApiKey": self.api_key,
            "SftpServerAddress": self.sftp_address,
            "SftpPort": self.sftp_port,
            "SftpUserName": self.sftp_user,
            "SecretName": self.secret_name,
            "PrivateKeyFile": self.private_key_file,
            "OperatorURL": self.operator_url,
        }

    def as_text(self) -> str:
        """Return the values, and shell commands to copy, as text for a terminal."""
        values = self.as_json() | {
            "Operator": f"{self.operator} / {self.operator_password()}",
            "API documentation": f"{self.url}/api/docs/",
        }
        width = max(map(len, values))
        lines = [f"  {name:<{width}}  {value}" for name, value in values.items()]
        return "\n".join(["", *lines, "", *self._example_commands(), ""])

    def _example_commands(self) -> list[str]:
        key = f"-H 'Authorization: Token {self.api_key}'"
        start, end = _recent_window()
        sftp = (
            f"sftp {_identity_option(self.private_key_file)} -P {self.sftp_port}"
            f" {_file_option('UserKnownHostsFile', self.known_hosts_file)}"
        )
        return [
            "  Get a page of readings:",
            f"    curl -sG {key} '{self.url}/readings'"
            f" --data-urlencode 'start_date={start}' -d page_size=3",
            "  Request a file of readings, get its status, and download it when it is completed:",
            f"    REQUEST=$(curl -s {key} '{self.url}/readings/file'"
            f' -d \'{{"start_date": "{start}", "end_date": "{end}"}}\''
            " | grep -Eo '[0-9a-f-]{36}')",
            f'    curl -s {key} "{self.url}/readings/file?request_id=$REQUEST"',
            f'    {sftp} {self.sftp_user}@{self.sftp_address}:"$REQUEST/*.gz" .',
            "  Browse your files:",
            f"    {sftp} {self.sftp_user}@{self.sftp_address}",
        ]


def collect() -> Outputs:
    """Return the outputs of this deployment.

    Addresses and ports are those of the settings. The file ``known_hosts`` is written only if it is missing, because
    the caller's settings can differ from those of the running deployment.

    Raises ``ImproperlyConfigured`` if the deployment has not been set up.
    """
    secrets = settings.SECRETS
    api_key = secrets.get(bootstrap.api_key_secret())
    password = secrets.get(bootstrap.operator_password_secret())
    if api_key is None or password is None:
        raise ImproperlyConfigured(
            f"HEADEND_HOME: {settings.HEADEND_HOME} contains no deployment. Start one: `{PROGRAM} run`."
        )
    if not _known_hosts_file().exists():
        write_known_hosts()
    operator = get_user_model().objects.get(username=bootstrap.OPERATOR)
    return Outputs(
        url=settings.HEADEND_PUBLIC_URL,
        api_key=api_key,
        sftp_address=settings.SFTP_PUBLIC_HOST,
        sftp_port=settings.SFTP_PORT,
        sftp_user=settings.DEFAULT_SUPPLIER,
        secret_name=bootstrap.private_key_secret(),
        private_key_file=str(secrets.path(bootstrap.private_key_secret())),
        known_hosts_file=str(_known_hosts_file()),
        operator_url=f"{settings.HEADEND_PUBLIC_URL}/",
        operator=bootstrap.OPERATOR,
        operator_password=lambda: password if operator.check_password(password) else "(changed)",
    )


def write_known_hosts() -> str:
    """Write the file with the SFTP server's host keys, for ``sftp``, to the home folder, and return its text."""
    lines = known_hosts_lines(settings.SFTP_PUBLIC_HOST, settings.SFTP_PORT)
    _known_hosts_file().write_text(lines, encoding="utf-8")
    return lines


def _known_hosts_file() -> Path:
    return Path(settings.HEADEND_HOME, "known_hosts")


def _identity_option(file: str) -> str:
    # ssh replaces %d and similar in the name. For `-i` it checks before this that the file exists.
    return _file_option("IdentityFile", file) if "%" in file else f"-i {shlex.quote(file)}"


def _file_option(option: str, file: str) -> str:
    """Return an option of ``ssh`` that names one file, quoted for a shell. ssh itself splits the value at spaces."""
    if set(file) & set(" %'\"#$\\"):
        file = '"' + re.sub(r'(["\\])', r"\\\1", file.replace("%", "%%")) + '"'
    return f"-o {shlex.quote(f'{option}={file}')}"


def _recent_window() -> tuple[str, str]:
    """Return start and end of the last two intervals that have readings, in canonical text."""
    now = timezone.now()
    fleet = deployment_fleet()
    end = fleet.newest_interval(now)
    try:
        minutes = (
            repository().snapshot().minute_counts(Window(now - timedelta(days=1), now))["minute"]
        )
    except RepositoryUnavailableError:
        minutes = None
    if minutes is not None and len(minutes):
        end = minutes[-1]
    return format_instant(end - fleet.interval), format_instant(end)
