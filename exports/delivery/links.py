"""Download links. A signed link allows the download of one file for a day.

A link is valid until it expires or the API key that created it is revoked. Every link leads to headend, which checks
this at each use. If the export store can create presigned URLs (S3), headend redirects to one that is valid for a
minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner, b62_decode
from django.urls import get_script_prefix, reverse

from exports.formats import FORMATS
from exports.models import ApiKey, FileRequest, Supplier
from exports.stores import export_store

VALID_FOR = timedelta(hours=24)
STORE_URL_VALID_FOR = timedelta(minutes=1)
"""A client follows the redirect at once. The store's clock may differ by some seconds."""
_ANONYMOUS = "anonymous"
"""The creator in links that were created without an API key."""
_OLD_SALT = "exports.download"
"""The salt of links of earlier versions, which do not name their creator."""


@dataclass(frozen=True)
class SignedLink:
    """What a valid signature says: the file that may be downloaded, the creator, and the creation time.

    ``creator`` is the primary key of an API key, or ``anonymous``. It is empty in links of earlier versions.
    """

    location: str
    creator: str
    created_at: datetime

    def is_allowed(self) -> bool:
        """Return whether the supplier of the file is active, and the access that created the link was not revoked."""
        request_id = self.location.partition("/")[0]
        suppliers = Supplier.objects.filter(active=True, file_requests__pk=request_id)
        if self.creator == _ANONYMOUS:
            suppliers = suppliers.filter(name=settings.HEADEND_ANONYMOUS_SUPPLIER)
        elif self.creator:
            suppliers = suppliers.filter(
                api_keys__pk=self.creator, api_keys__revoked_at__isnull=True
            )
        else:
            # It may be from any key of the supplier.
            suppliers = suppliers.exclude(api_keys__revoked_at__gte=self.created_at)
        return suppliers.exists()


def download_path(request: FileRequest) -> str:
    """Return the URL path of a completed request's file, without a signature, for users who are logged in."""
    _, _, name = request.location.partition("/")
    return reverse("download", kwargs={"request_id": request.pk, "name": name})


def download_url(request: FileRequest, api_key: ApiKey | None) -> str:
    """Return an absolute link to a completed request's file.

    Anyone who has the link can download the file for :data:`VALID_FOR`, without other credentials, until ``api_key``
    is revoked. ``api_key`` is None if the caller is ``HEADEND_ANONYMOUS_SUPPLIER``.
    """
    creator = _ANONYMOUS if api_key is None else str(api_key.pk)
    signer = _signer()
    signed = signer.sign(f"{request.location}{signer.sep}{creator}")
    signature = signed.removeprefix(request.location + signer.sep)
    # The public URL may have a path, and reverse() begins with it.
    path = download_path(request).removeprefix(get_script_prefix())
    return f"{settings.HEADEND_PUBLIC_URL}/{path}?signature={signature}"


def store_url(request: FileRequest) -> str | None:
    """Return the store's own presigned URL of the file, or None if the store cannot create one."""
    media_type = FORMATS[request.format].media_type
    return export_store().presigned_url(request.location, media_type, STORE_URL_VALID_FOR)


def signed_link(location: str, signature: str) -> SignedLink | None:
    """Return the link with this signature, or None if the signature is wrong or older than :data:`VALID_FOR`.

    A signature is ``<creator>:<time>:<HMAC>``; in links of earlier versions, without the creator.
    """
    signer = _signer()
    creator = signature.rpartition(signer.sep)[0].rpartition(signer.sep)[0]
    if not creator:
        signer = TimestampSigner(salt=_OLD_SALT)
    try:
        signer.unsign(f"{location}{signer.sep}{signature}", max_age=VALID_FOR)
    except BadSignature:
        return None
    seconds = b62_decode(signature.split(signer.sep)[-2])
    return SignedLink(location, creator, datetime.fromtimestamp(seconds, UTC))


def _signer() -> TimestampSigner:
    # Not a constant: creating it reads SECRET_KEY, and importing a module must not load a secret.
    return TimestampSigner(salt="exports.download.created_by")
