"""Download links. A signed link allows the download of one file for a day.

If the export store can create presigned URLs (S3), the links point to the store itself.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.urls import get_script_prefix, reverse

from exports.formats import FORMATS
from exports.models import FileRequest
from exports.stores import export_store

VALID_FOR = timedelta(hours=24)


def download_path(request: FileRequest) -> str:
    """Return the URL path of a completed request's file, without a signature, for users who are logged in."""
    _, _, name = request.location.partition("/")
    return reverse("download", kwargs={"request_id": request.pk, "name": name})


def download_url(request: FileRequest) -> str:
    """Return an absolute link to a completed request's file.

    Anyone who has the link can download the file for :data:`VALID_FOR`, without other credentials.
    """
    presigned_url = store_url(request)
    if presigned_url is not None:
        return presigned_url
    signer = _signer()
    signature = signer.sign(request.location).removeprefix(request.location + signer.sep)
    # The public URL may have a path, and reverse() begins with it.
    path = download_path(request).removeprefix(get_script_prefix())
    return f"{settings.HEADEND_PUBLIC_URL}/{path}?signature={signature}"


def store_url(request: FileRequest) -> str | None:
    """Return the store's own presigned URL of the file, or None if the store cannot create one."""
    media_type = FORMATS[request.format].media_type
    return export_store().presigned_url(request.location, media_type, VALID_FOR)


def is_valid_signature(location: str, signature: str) -> bool:
    """Return whether :func:`download_url` made this signature for this location within :data:`VALID_FOR`."""
    signer = _signer()
    try:
        signer.unsign(f"{location}{signer.sep}{signature}", max_age=VALID_FOR)
    except BadSignature:
        return False
    return True


def _signer() -> TimestampSigner:
    # Not a constant: creating it reads SECRET_KEY, and importing a module must not load a secret.
    return TimestampSigner(salt="exports.download")
