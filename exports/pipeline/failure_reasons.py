"""Why an attempt failed, in words that an operator can act on."""

from __future__ import annotations

import errno

from readings.repositories import RepositoryUnavailableError

_OF_A_DISK = {
    errno.ENOSPC: "The disk that export files are written to is full.",
    errno.EDQUOT: "The disk quota for export files is used up.",
    errno.EROFS: "The disk that export files are written to is read-only.",
    errno.EACCES: "The folder of export files may not be written to by this user.",
    errno.EPERM: "The folder of export files may not be written to by this user.",
    errno.EIO: "The disk that export files are written to reports errors.",
}


def reason_of(error: Exception) -> str:
    """One or two sentences: what is the matter, then what the system said."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, RepositoryUnavailableError):
        return f"The store of readings cannot be read. {said}"
    if isinstance(error, OSError) and error.errno in _OF_A_DISK:
        return f"{_OF_A_DISK[error.errno]} {said}"
    if type(error).__module__.startswith(("botocore.", "boto3.", "urllib3.")):
        return f"The bucket of export files refuses or cannot be reached. {said}"
    return said
