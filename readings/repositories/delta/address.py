"""The parts of ``READINGS_URL=delta+s3://bucket/prefix?…``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*")
_REGION = re.compile(r"[a-z0-9-]{2,40}")
_OPTIONS = ("region", "endpoint_url")


@dataclass(frozen=True)
class BucketAddress:
    """A bucket, and the prefix of the table's keys in it.

    If ``region`` or ``endpoint_url`` is None, boto3 finds it.
    """

    bucket: str
    prefix: str
    region: str | None = None
    endpoint_url: str | None = None

    @classmethod
    def of(cls, url: str) -> BucketAddress:
        """Parse the URL. Raises ``ValueError`` with a sentence for the operator that says what is wrong.

        The sentence never contains the whole URL, because it may contain a password.
        """
        parts = urlsplit(url)
        if "@" in unquote(parts.netloc):
            raise ValueError("do not write an access key in the URL; boto3 finds the credentials.")
        if not _BUCKET.fullmatch(parts.netloc):
            raise ValueError(
                f"{parts.netloc!r} is not a valid name of a bucket; use delta+s3://bucket/prefix."
            )
        if parts.fragment or "#" in url:
            raise ValueError("a prefix cannot contain the character #.")
        prefix = parts.path.strip("/")
        if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
            raise ValueError(
                f"{prefix!r} is not a valid prefix; use delta+s3://bucket/prefix with letters, digits and _ . = - /"
            )
        return cls(parts.netloc, prefix, **_options(parts.query))


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options.keys() - set(_OPTIONS):
        raise ValueError(f"the option {option} is unknown; the options are {', '.join(_OPTIONS)}.")
    region, endpoint = options.get("region"), options.get("endpoint_url")
    if region is not None and not _REGION.fullmatch(region):
        raise ValueError(f"region={region} is not a region; write for example region=eu-west-1.")
    if endpoint is not None:
        _refuse_wrong_endpoint(endpoint)
        options["endpoint_url"] = endpoint.rstrip("/")
    return options


def _refuse_wrong_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "endpoint_url must be the address of a server, percent-encoded, without a password:"
            " endpoint_url=https%3A%2F%2Fs3.example.com"
        )
