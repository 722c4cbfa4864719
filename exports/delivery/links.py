"""Download links: signed, good for a day, and for one file each; the store's own where it has them."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.urls import reverse

from exports.formats import FORMATS
from exports.models import FileRequest
from exports.stores import export_store

GOOD_FOR = timedelta(hours=24)

_signer = TimestampSigner(salt="exports.download")


def download_path(request: FileRequest) -> str:
    """The path of a completed request's file, for those who are logged in."""
    _, _, name = request.location.partition("/")
    return reverse("download", kwargs={"request_id": request.pk, "name": name})


def download_url(request: FileRequest) -> str:
    """An absolute link to a completed request's file; whoever holds it may fetch that file for a day."""
    elsewhere = url_of_the_store(request)
    if elsewhere is not None:
        return elsewhere
    signature = _signer.sign(request.location).removeprefix(request.location + _signer.sep)
    return f"{settings.HEADEND_PUBLIC_URL}{download_path(request)}?signature={signature}"


def url_of_the_store(request: FileRequest) -> str | None:
    """A link at which the store gives the file out by itself, where it does."""
    media_type = FORMATS[request.format].media_type
    return export_store().presigned_url(request.location, media_type, GOOD_FOR)


def is_signed(location: str, signature: str) -> bool:
    """Whether ``signature`` is one that :func:`download_url` gave for this file within the last day."""
    try:
        _signer.unsign(f"{location}{_signer.sep}{signature}", max_age=GOOD_FOR)
    except BadSignature:
        return False
    return True
