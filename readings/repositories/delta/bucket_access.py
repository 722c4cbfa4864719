"""The server, the region and the credentials of a bucket, as boto3 finds them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

from readings.repositories.delta.address import BucketAddress
from readings.repository_errors import RepositoryUnavailableError

ASK_AGAIN_SECONDS = 10.0
"""After this time boto3 is asked again. It renews credentials at least ten minutes before they expire."""
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Credentials:
    """The credentials of calls. Their text, for example in a log, contains no secrets."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    ask_again_at: float = field(compare=False)
    """When a client must ask for credentials again, in seconds since 1970."""

    def as_options(self) -> dict[str, str]:
        """Return them as options, with the names that Delta and Polars use."""
        options = {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
        }
        return options | ({"aws_session_token": self.token} if self.token else {})


class BucketAccess:
    """The server, the region and the credentials for one bucket. Threads may share it."""

    def __init__(self, address: BucketAddress) -> None:
        self._address = address
        self._lock = Lock()
        self._newest: Credentials | None = None

    @property
    def endpoint_url(self) -> str:
        """The address of the server: that of the URL, of boto3's configuration, or AWS's own for the region."""
        return self._address.endpoint_url or self._endpoint_of_boto3

    @property
    def region(self) -> str:
        """The region of the URL, or the one that boto3 finds."""
        found = self._address.region or self._session.region_name
        return found or _DEFAULT_REGION

    @property
    def allows_http(self) -> bool:
        """Whether calls are made without TLS."""
        return self.endpoint_url.startswith("http://")

    def credentials(self) -> Credentials:
        """Return credentials that are valid for the next minutes, if boto3 can renew them.

        Raises :class:`RepositoryUnavailableError` if boto3 finds none, or cannot renew them.
        """
        with self._lock:
            if self._newest is None or time.time() >= self._newest.ask_again_at:
                self._newest = self._ask()
            return self._newest

    def _ask(self) -> Credentials:
        try:
            found = self._found.get_frozen_credentials() if self._found else None
        except BotoCoreError as error:
            # The text of the error can be the output of a program that prints credentials.
            raise RepositoryUnavailableError(
                f"The credentials of the bucket cannot be renewed: {type(error).__name__}."
            ) from None
        if found is None or not found.access_key or not found.secret_key:
            raise RepositoryUnavailableError(
                "boto3 finds no credentials for the bucket; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
                " a profile or a role."
            )
        ask_again_at = time.time() + ASK_AGAIN_SECONDS
        return Credentials(found.access_key, found.secret_key, found.token, ask_again_at)

    @cached_property
    def _found(self) -> Any:
        return self._session.get_credentials()

    @cached_property
    def _session(self) -> boto3.Session:
        with _translate_configuration_errors():
            return boto3.Session()

    @cached_property
    def _endpoint_of_boto3(self) -> str:
        # The client makes no calls. It knows the addresses of all regions and the settings of boto3.
        with _translate_configuration_errors():
            client = self._session.client("s3", region_name=self.region)
        url: str = client.meta.endpoint_url
        return url


@contextmanager
def _translate_configuration_errors() -> Iterator[None]:
    try:
        yield
    except BotoCoreError as error:
        raise RepositoryUnavailableError(
            f"boto3's configuration cannot be used: {error}"
        ) from error
