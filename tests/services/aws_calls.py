"""Record which actions of IAM the processes of a cluster need, by proxies in front of the servers of AWS's services.

IAM's actions have other names than the calls of S3: a part of an upload needs ``s3:PutObject``, a copied part also
``s3:GetObject`` for its source.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.deploy.aws_template import Permission
from tests.services.fault_proxy import FaultProxy

KINDS = ("beat", "web", "worker", "deliveries", "sftp")
"""The processes. ``manage.py setup`` has the role of beat, because both run in the same task."""
_TARGETS = {
    "AmazonSQS": "sqs",
    "secretsmanager": "secretsmanager",
    "Timestream_20181101": "timestream",
}
"""Services by the first part of the header ``X-Amz-Target``, which names the call."""
_TIMESTREAM = {"Query": "Select"}
"""Actions of Timestream that do not have the name of the call."""


def permissions(method: str, url: str, headers: dict[str, str]) -> Iterator[Permission]:
    """Yield the permissions that an HTTP call to AWS needs."""
    target = {name.lower(): value for name, value in headers.items()}.get("x-amz-target")
    if target is not None:
        service, _, call = target.partition(".")
        yield Permission(f"{_TARGETS[service]}:{_TIMESTREAM.get(call, call)}")
        return
    yield from _s3_permissions(method, url, headers)


def _s3_permissions(method: str, url: str, headers: dict[str, str]) -> Iterator[Permission]:
    parts = urlsplit(url)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    source = {name.lower(): value for name, value in headers.items()}.get("x-amz-copy-source")
    if source:
        yield Permission("s3:GetObject", unquote(source).lstrip("/"))
    if not key:
        # DeleteObjects names its keys in the body, and each needs the permission to be deleted.
        deletes = "delete" in query
        uploads = "uploads" in query
        action = (
            "DeleteObject" if deletes else "ListBucketMultipartUploads" if uploads else "ListBucket"
        )
        yield Permission(f"s3:{action}", f"{bucket}/*" if deletes else bucket)
        return
    action = {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}.get(
        method, "PutObject"
    )
    if method == "DELETE" and "uploadId" in query:
        action = "AbortMultipartUpload"
    elif method == "GET" and "uploadId" in query:
        action = "ListMultipartUploadParts"
    yield Permission(f"s3:{action}", f"{bucket}/{key}")


class AwsCalls:
    """Proxies for each kind of process. ``used`` has the permissions that the processes of a kind have used."""

    def __init__(self) -> None:
        self.used: dict[str, set[Permission]] = defaultdict(set)
        self._lock = threading.Lock()
        self._proxies = ExitStack()

    def proxy(self, kind: str, upstream: str) -> str:
        """Start a proxy in front of ``upstream`` and return its address, percent-encoded for the query of a URL."""

        def record(method: str, url: str, headers: dict[str, str]) -> None:
            with self._lock:
                self.used[kind].update(permissions(method, url, headers))

        proxy = self._proxies.enter_context(FaultProxy(upstream, share=0, on_call=record))
        return quote(proxy.url, safe="")

    def stop(self) -> None:
        """Stop all proxies."""
        self._proxies.close()
