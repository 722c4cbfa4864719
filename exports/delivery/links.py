"""Download links: signed, good for a day, and for one file each."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.urls import reverse

from exports.models import FileRequest

GOOD_FOR = timedelta(hours=24)

_signer = TimestampSigner(salt="exports.download")


def download_path(request: FileRequest) -> str:
    """The path of a completed request's file, for those who are logged in."""
    _, _, name = request.location.partition("/")
    return reverse("download", kwargs={"request_id": request.pk, "name": name})


def download_url(request: FileRequest) -> str:
    """An absolute link to a completed request's file; whoever holds it may fetch that file for a day."""
    signature = _signer.sign(request.location).removeprefix(request.location + _signer.sep)
    return f"{settings.HEADEND_PUBLIC_URL}{download_path(request)}?signature={signature}"


def is_signed(location: str, signature: str) -> bool:
    """Whether ``signature`` is one that :func:`download_url` gave for this file within the last day."""
    try:
        _signer.unsign(f"{location}{_signer.sep}{signature}", max_age=GOOD_FOR)
    except BadSignature:
        return False
    return True
