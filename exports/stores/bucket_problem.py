"""Explain errors of boto3 about the bucket of ``EXPORTS_URL`` to an operator."""

from __future__ import annotations

_RIGHTS = "access is denied; check the credentials that boto3 finds, and grant the permissions of docs/engineers.md"
_REGION = "the region is wrong; set region=… to that of the bucket"
_BY_CODE = {
    "404": "the bucket does not exist; create it, or correct the URL",
    "NoSuchBucket": "the bucket does not exist; create it, or correct the URL",
    "403": _RIGHTS,
    "AccessDenied": _RIGHTS,
    "InvalidAccessKeyId": "the server does not know the access key; check the credentials that boto3 finds",
    "SignatureDoesNotMatch": "the secret key is wrong; check the credentials that boto3 finds",
    "301": _REGION,
    "400": f"{_REGION}, and check the credentials that boto3 finds",
}
"""By the error code of S3. The answer to a HEAD request has no body, so then the code is the HTTP status."""
_NO_ANSWER = "the server cannot be reached, or does not answer; check endpoint_url and the network"
_BY_CLASS = {
    "NoCredentialsError": "boto3 finds no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role",
    "SSLError": "the TLS connection failed; check endpoint_url and the server's certificate",
    "ConnectionError": _NO_ANSWER,
    "HTTPClientError": _NO_ANSWER,
    "TimeoutError": _NO_ANSWER,
}
"""By the name of an error class, or of its base class."""


def bucket_problem(error: BaseException) -> str:
    """Return what is wrong with the bucket and what to do, without a full stop. The text contains no secret."""
    response = getattr(error, "response", None)
    code = str(response["Error"]["Code"]) if isinstance(response, dict) else ""
    if code in _BY_CODE:
        return f"{_BY_CODE[code]} ({code})"
    for each in type(error).__mro__:
        if each.__name__ in _BY_CLASS:
            return _BY_CLASS[each.__name__]
    return f"the bucket cannot be used: {str(error).partition(chr(10))[0].rstrip('.')}"
