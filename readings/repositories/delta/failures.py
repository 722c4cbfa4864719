"""Errors of the disk, the bucket and the libraries, as :class:`RepositoryUnavailableError` with one plain sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError
from obstore.exceptions import BaseError as BucketError

from readings.repository_errors import RepositoryUnavailableError

FAILURES = (OSError, DeltaError, pl.exceptions.ComputeError, BucketError)
"""What Python, Delta, Polars and obstore raise if a disk or a bucket cannot be used."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NEXT_CAUSE = re.compile(r"\n\s*↳ ")
"""Delta writes each cause of an error on its own line."""
_STATUS = re.compile(r"non-2xx status code: (\d{3} [A-Za-z ]*[A-Za-z])")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_NO_ANSWER = re.compile(
    r"error sending request|operation timed out|deadline has elapsed|connection (?:refused|reset|closed)",
    re.I,
)
_OURS = re.compile(rf"{RepositoryUnavailableError.__name__}: ([^\n]+)")
"""Polars and obstore put the error of a function that finds credentials into a longer text."""
_REDIRECT = "redirect without LOCATION"
_OF_BUCKETS = re.compile(r"Error performing [A-Z]+ |Generic S3 error|" + _REDIRECT)
_MEANINGS = {
    "NoSuchBucket": "the bucket does not exist; create it, or correct the URL",
    "AccessDenied": "access is denied; grant the permissions that docs/engineers.md lists",
    "AllAccessDisabled": "access is denied; grant the permissions that docs/engineers.md lists",
    "InvalidAccessKeyId": "the server does not know the access key; check the credentials that boto3 finds",
    "SignatureDoesNotMatch": "the secret key is wrong; check the credentials that boto3 finds",
    "ExpiredToken": "the credentials have expired; renew those that boto3 finds",
    "InvalidToken": "the credentials are not valid; renew those that boto3 finds",
    "AuthorizationHeaderMalformed": "the region is wrong; set region=… to that of the bucket",
    "PermanentRedirect": "the region is wrong; set region=… to that of the bucket",
    "IllegalLocationConstraintException": "the region is wrong; set region=… to that of the bucket",
}
"""What an error code of S3 means for an operator."""


def reason(error: BaseException) -> str:
    """Return why a disk or a bucket cannot be used, in one line.

    Answers of a bucket's server are reduced to status and error code: their text may contain keys and tokens.
    """
    text = _NEXT_CAUSE.sub(": ", _COLOUR.sub("", str(error)))
    ours = _OURS.search(text)
    if ours:
        return ours.group(1)
    if not _OF_BUCKETS.search(text):
        return text.partition("\n")[0]
    code, status = _CODE.search(text), _STATUS.search(text)
    if code and code.group(1) in _MEANINGS:
        return f"{_MEANINGS[code.group(1)]} ({code.group(1)})"
    if _REDIRECT in text:
        return _MEANINGS["PermanentRedirect"]
    if status:
        return f"the bucket's server answered {status.group(1)}" + (
            f" ({code.group(1)})" if code else ""
        )
    if _NO_ANSWER.search(text):
        return "the bucket's server cannot be reached, or does not answer; check endpoint_url and the network"
    return text.partition("\n")[0]


@contextmanager
def unavailable_if_it_fails(what: str) -> Iterator[None]:
    """Raise :class:`RepositoryUnavailableError` for errors of the disk, the bucket and the libraries.

    Its message begins with ``what``.

    ``CommitFailedError`` is not changed: the caller retries after it.
    """
    try:
        yield
    except CommitFailedError:
        raise
    except FAILURES as error:
        raise RepositoryUnavailableError(f"{what}: {reason(error)}") from error
