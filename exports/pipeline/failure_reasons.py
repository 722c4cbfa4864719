"""Turns an error into the reason of a failed attempt, in words that an operator can act on."""

from __future__ import annotations

import errno

from readings.outages import is_bucket_outage
from readings.repository_errors import RepositoryUnavailableError

_DISK_ERRORS = {
    errno.ENOSPC: "The disk that export files are written to is full.",
    errno.EDQUOT: "The disk quota for export files is used up.",
    errno.EROFS: "The disk that export files are written to is read-only.",
    errno.EACCES: "The worker's system user may not write to the folder of export files.",
    errno.EPERM: "The worker's system user may not write to the folder of export files.",
    errno.EIO: "The disk that export files are written to reports errors.",
}


def failure_reason(error: Exception) -> str:
    """Return what is wrong, if the error is a known one, followed by the type and the message of the error."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, RepositoryUnavailableError):
        return f"The repository of readings cannot be read. {detail}"
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return f"{_DISK_ERRORS[error.errno]} {detail}"
    if is_bucket_outage(error):
        return f"The bucket of export files rejects the request or cannot be reached. {detail}"
    return detail
