"""The boto3 clients for a table and its bucket, retries, and messages for the errors of AWS."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from headend.config.program import PROGRAM
from readings.cancellation import raise_if_cancelled
from readings.repositories.timestream.address import TimestreamAddress
from readings.repository_errors import RepositoryUnavailableError

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 20
CALL_SECONDS = 60
S3_CALL_SECONDS = 600
"""The time limits of one HTTP call in total. Uploads and copies take longer than calls of Timestream."""
WRITE_RETRIES = 10
WRITE_CONNECTIONS = 5000
"""These values and :data:`READ_TIMEOUT_SECONDS` are what AWS's developer guide recommends to clients that write."""
_ATTEMPTS = 3
_CONNECTIONS = 64
RETRY_SECONDS = 15.0
"""A query is retried for this long. It is less than the 25 s that an HTTP request may take."""
_FIRST_PAUSE, _MAX_PAUSE = 0.1, 3.0

Result = TypeVar("Result")


class Clients:
    """The clients of one table. Each is created on first use and shared by all threads, as boto3 allows."""

    def __init__(self, address: TimestreamAddress) -> None:
        self._address = address

    @cached_property
    def write(self) -> Any:
        """``timestream-write`` for records."""
        retries = {"mode": "standard", "max_attempts": WRITE_RETRIES}
        return self._timestream("timestream-write", retries, WRITE_CONNECTIONS)

    @cached_property
    def control(self) -> Any:
        """``timestream-write`` for tables and batch load tasks."""
        return self._timestream(
            "timestream-write", {"mode": "standard", "total_max_attempts": _ATTEMPTS}
        )

    @cached_property
    def query(self) -> Any:
        """``timestream-query`` without botocore's retries: use :func:`call_with_retries`."""
        # As in _client: another engine does not need botocore.
        from readings.repositories.timestream.row_parser import keep_rows

        return keep_rows(self._timestream("timestream-query", {"total_max_attempts": 1}))

    @cached_property
    def s3(self) -> Any:
        """``s3`` for the bucket."""
        addressing = {"addressing_style": "path" if self._address.s3_endpoint_url else "auto"}
        retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
        return self._client(
            "s3", S3_CALL_SECONDS, self._address.s3_endpoint_url, retries=retries, s3=addressing
        )

    def _timestream(
        self, service: str, retries: dict[str, Any], connections: int = _CONNECTIONS
    ) -> Any:
        endpoint = self._address.endpoint_url
        return self._client(
            service, CALL_SECONDS, endpoint, retries=retries, max_pool_connections=connections
        )

    def _client(self, service: str, seconds: float, endpoint: str | None, **options: Any) -> Any:
        # boto3 takes 0.2 s to import; a deployment that uses another engine does not need it.
        from botocore.config import Config

        from headend.config.aws_clients import create_client

        return create_client(
            service,
            seconds=seconds,
            region_name=self._address.region,
            endpoint_url=endpoint,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=READ_TIMEOUT_SECONDS,
                **options,
            ),
        )


def call_with_retries(call: Callable[[], Result]) -> Result:
    """Return the result of ``call``; retry with growing pauses while the service throttles or cannot be reached.

    Retries end after :data:`RETRY_SECONDS`, or when the caller cancels. botocore's own retries support neither.
    Raises what the last attempt raised, or what :func:`raise_if_cancelled` raises.
    """
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    pause = _FIRST_PAUSE
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        raise_if_cancelled()
        try:
            return call()
        except (ConnectionError, HTTPClientError):
            if time.monotonic() + pause > deadline:
                raise
        except ClientError as error:
            if _code(error) not in _TEMPORARY_ERRORS or time.monotonic() + pause > deadline:
                raise
        # Random, so that clients that were throttled at the same time do not retry at the same time.
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (the pause is not a secret)
        pause = min(2 * pause, _MAX_PAUSE)


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


_TEMPORARY_ERRORS = {"ThrottlingException", "InternalServerException", "ServiceUnavailable"}
_MESSAGES = {
    "ThrottlingException": "Timestream throttles this account at the moment. Retry later.",
    "ResourceNotFoundException": (
        f"The Timestream database or table does not exist. Create them with `{PROGRAM} timestream create`."
    ),
    "AccessDeniedException": "The AWS credentials do not have permission for this call.",
    "ExpiredTokenException": "The AWS credentials have expired.",
    "UnrecognizedClientException": "The AWS credentials are not known.",
    "InvalidSignatureException": "AWS rejected the signature of these credentials.",
    "ValidationException": "Timestream rejected the call as not valid.",
    "QueryExecutionException": "Timestream could not finish the query.",
    "ServiceQuotaExceededException": "A quota of the AWS account is exhausted.",
    "InternalServerException": "Timestream had an internal error.",
}


@contextmanager
def translate_aws_errors() -> Iterator[None]:
    """Turn errors of AWS and of the connection to it into :class:`RepositoryUnavailableError`.

    The message is written for operators and ends with the operation, the error code and AWS's own message.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = _code(error)
        details = error.response.get("Error", {}).get("Message", "")
        message = _MESSAGES.get(code, "AWS rejected a call.")
        raise RepositoryUnavailableError(
            f"{message} ({error.operation_name}: {code}: {details})"
        ) from error
    except (BotoCoreError, TimeoutError) as error:
        raise RepositoryUnavailableError(f"AWS cannot be reached: {error}") from error
