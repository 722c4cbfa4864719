"""boto3's clients of the services around a table, and what their errors mean to an operator."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from readings.repositories.base import RepositoryUnavailableError
from readings.repositories.cancellation import still_wanted
from readings.repositories.timestream.address import Address

CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
RETRIES_OF_WRITERS = 10
CONNECTIONS_OF_WRITERS = 5000
"""With :data:`ANSWER_SECONDS`, what AWS's guide for developers recommends to clients that write."""
_TRIES = 3
_CONNECTIONS = 64
RETRY_SECONDS = 15.0
"""How long a query is tried again: a caller over HTTP waits 25 s in all."""
_PAUSES = (0.1, 3.0)

Answer = TypeVar("Answer")


class Clients:
    """Made on first use and shared by a process' threads, as boto3 allows."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @cached_property
    def write(self) -> Any:
        """``timestream-write`` for records."""
        retries = {"mode": "standard", "max_attempts": RETRIES_OF_WRITERS}
        return self._timestream("timestream-write", retries, CONNECTIONS_OF_WRITERS)

    @cached_property
    def control(self) -> Any:
        """``timestream-write`` for tables and tasks."""
        return self._timestream(
            "timestream-write", {"mode": "standard", "total_max_attempts": _TRIES}
        )

    @cached_property
    def query(self) -> Any:
        """``timestream-query``; :func:`tried_again` repeats its calls."""
        return self._timestream("timestream-query", {"total_max_attempts": 1})

    @cached_property
    def s3(self) -> Any:
        """The bucket's service."""
        by_path = {"addressing_style": "path" if self._address.s3_endpoint_url else "auto"}
        retries = {"mode": "standard", "total_max_attempts": _TRIES}
        return self._client("s3", self._address.s3_endpoint_url, retries=retries, s3=by_path)

    def _timestream(self, service: str, retries: dict[str, Any], most: int = _CONNECTIONS) -> Any:
        endpoint = self._address.endpoint_url
        return self._client(service, endpoint, retries=retries, max_pool_connections=most)

    def _client(self, service: str, endpoint: str | None, **settings: Any) -> Any:
        # boto3 costs 0.2 s to import; a deployment on another store does without.
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            region_name=self._address.region,
            endpoint_url=endpoint,
            config=Config(connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS, **settings),
        )


def tried_again(call: Callable[[], Answer]) -> Answer:
    """The call's answer, repeated with pauses that grow while the service is throttling or away.

    Not for longer than :data:`RETRY_SECONDS`, nor than somebody waits for it; botocore's own retries know
    neither. Raises what the last try raised, or what :func:`still_wanted` does.
    """
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    pause, longest = _PAUSES
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        still_wanted()
        try:
            return call()
        except (ConnectionError, HTTPClientError):
            if time.monotonic() + pause > deadline:
                raise
        except ClientError as error:
            if _code(error) not in _PASSING or time.monotonic() + pause > deadline:
                raise
        # Spread, so that those who were throttled together do not come back together.
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
        pause = min(2 * pause, longest)


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


_PASSING = {"ThrottlingException", "InternalServerException", "ServiceUnavailable"}
_MEANINGS = {
    "ThrottlingException": "Timestream is throttling this account; it will take calls again shortly.",
    "ResourceNotFoundException": (
        "Timestream has no such database or table; `manage.py timestream create` makes them."
    ),
    "AccessDeniedException": "AWS does not let these credentials do this.",
    "ExpiredTokenException": "The AWS credentials have expired.",
    "UnrecognizedClientException": "AWS does not know these credentials.",
    "InvalidSignatureException": "AWS does not accept the signature of these credentials.",
    "ValidationException": "Timestream does not take the call.",
    "QueryExecutionException": "Timestream gave the query up.",
    "ServiceQuotaExceededException": "A quota of the AWS account is used up.",
    "InternalServerException": "Timestream failed.",
}


@contextmanager
def telling_what_failed() -> Iterator[None]:
    """Turn an error of AWS or of the way there into :class:`RepositoryUnavailableError`, in an operator's words."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code = told.get("Code", "")
        meaning = _MEANINGS.get(code, "AWS refused a call.")
        raise RepositoryUnavailableError(
            f"{meaning} ({error.operation_name}: {code}: {told.get('Message', '')})"
        ) from error
    except BotoCoreError as error:
        raise RepositoryUnavailableError(f"AWS cannot be reached: {error}") from error
