"""The secrets store in AWS Secrets Manager, for ``SECRETS_URL=secretsmanager://prefix?region=…``."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from headend.config.secrets import FileSecrets, Secrets

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 10
CALL_SECONDS = 20
"""Short: processes read secrets when they start, and a page or a delivery waits for them."""
_ATTEMPTS = 3
_READS, _PAUSE_SECONDS = 10, 0.2
_FIRST_VERSION = "6f0b6a3e-5f0e-4a53-9d1c-8e2f4c7a9b01"
"""The id of the first value of each secret. Secrets Manager stores only one value with this id. So if several processes
create the secret, only the first one succeeds."""


class SecretsManager(Secrets):
    """Secrets below one prefix, with the names of the AWS reference: ``<prefix>/sftp/private_key``.

    Args:
        prefix: Every name in AWS starts with it and a slash.
        copies: The folder for secrets that a program needs as a file.
        region: The AWS region; None for the one that boto3 finds.
        endpoint_url: The address of a server other than AWS's own.
    """

    def __init__(
        self, prefix: str, copies: FileSecrets, *, region: str | None, endpoint_url: str | None
    ) -> None:
        self._prefix = prefix
        self._copies = copies
        self._client_options = {"region_name": region, "endpoint_url": endpoint_url}

    @cached_property
    def _client(self) -> Any:
        # Importing boto3 takes half a second; a deployment with a folder does not need it.
        from botocore.config import Config

        from headend.config.aws_clients import create_client

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )
        return create_client(
            "secretsmanager", seconds=CALL_SECONDS, config=config, **self._client_options
        )

    def get(self, name: str) -> str | None:
        """See :meth:`Secrets.get`."""
        try:
            secret = self._client.get_secret_value(SecretId=self._id(name))
        except self._client.exceptions.ResourceNotFoundException:
            return None
        stored: str = secret["SecretString"]
        return stored

    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """See :meth:`Secrets.get_or_make`."""
        stored = self.get(name)
        if stored is not None:
            return stored
        made = make()
        value = {"SecretString": made, "ClientRequestToken": _FIRST_VERSION}
        exists = self._client.exceptions.ResourceExistsException
        try:
            self._client.create_secret(Name=self._id(name), **value)
        except exists:
            # A CloudFormation template creates secrets without a value.
            try:
                self._client.put_secret_value(SecretId=self._id(name), **value)
            except exists:
                return self._created_meanwhile(name)
        return made

    def put(self, name: str, value: str) -> None:
        """See :meth:`Secrets.put`. Secrets Manager keeps the replaced value as ``AWSPREVIOUS``."""
        try:
            self._client.put_secret_value(SecretId=self._id(name), SecretString=value)
        except self._client.exceptions.ResourceNotFoundException:
            self._client.create_secret(Name=self._id(name), SecretString=value)

    def _created_meanwhile(self, name: str) -> str:
        """Return the secret, which another process has just created. Raises ``LookupError`` if it cannot be read."""
        for _ in range(_READS):
            stored = self.get(name)
            if stored is not None:
                return stored
            # The service is eventually consistent: a new secret can be missing for a moment.
            time.sleep(_PAUSE_SECONDS)
        raise LookupError(f"The secret {self._id(name)} exists, but it cannot be read.")

    def path(self, name: str) -> Path:
        """Copy the secret to a file and return the file's path. Raises ``LookupError`` if it is missing."""
        stored = self.get(name)
        if stored is None:
            raise LookupError(f"There is no secret {self._id(name)}.")
        self._copies.put(name, stored)
        return self._copies.path(name)

    def _id(self, name: str) -> str:
        return name if name.startswith(f"{self._prefix}/") else f"{self._prefix}/{name}"
