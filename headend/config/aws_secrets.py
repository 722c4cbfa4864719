"""The secrets store in AWS Secrets Manager, behind ``SECRETS_URL=secretsmanager://prefix?region=…``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from headend.config.secrets import FileSecrets, Secrets


class SecretsManager(Secrets):
    """Secrets below one prefix, under the reference's names: ``<prefix>/sftp/private_key``.

    ``copies`` is a folder for those that a program wants as a file.
    """

    def __init__(
        self, prefix: str, copies: Path, *, region: str | None, endpoint_url: str | None
    ) -> None:
        self._prefix = prefix
        self._copies = FileSecrets(copies)
        self._where = {"region_name": region, "endpoint_url": endpoint_url}

    @cached_property
    def _client(self) -> Any:
        # boto3 costs half a second to import; a deployment with files does without.
        import boto3

        return boto3.client("secretsmanager", **self._where)

    def get(self, name: str) -> str | None:
        """See :meth:`Secrets.get`."""
        try:
            kept: str = self._client.get_secret_value(SecretId=self._id(name))["SecretString"]
        except self._client.exceptions.ResourceNotFoundException:
            return None
        return kept

    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """See :meth:`Secrets.get_or_make`."""
        kept = self.get(name)
        if kept is not None:
            return kept
        made = make()
        try:
            self._client.create_secret(Name=self._id(name), SecretString=made)
        except self._client.exceptions.ResourceExistsException:
            kept = self.get(name)
        return made if kept is None else kept

    def path(self, name: str) -> Path:
        """See :meth:`Secrets.path`. Raises ``LookupError`` when there is no such secret."""
        kept = self.get(name)
        if kept is None:
            raise LookupError(f"There is no secret {self._id(name)}.")
        self._copies.put(name, kept)
        return self._copies.path(name)

    def _id(self, name: str) -> str:
        return name if name.startswith(f"{self._prefix}/") else f"{self._prefix}/{name}"
