"""Which errors come from a disk, the database, a bucket or the repository, and not from a bug."""

from __future__ import annotations

from headend.config.database_errors import is_database_outage
from readings.repository_errors import RepositoryUnavailableError

_LIBRARIES_OF_BUCKETS = {"boto3", "botocore", "s3transfer", "urllib3"}
_WRONG_CALLS = {
    "MissingParametersError",
    "OperationNotPageableError",
    "ParamValidationError",
    "RangeError",
    "UnknownClientMethodError",
    "UnknownKeyError",
    "UnknownParameterError",
}
"""botocore's errors about a call that headend makes in a wrong way. botocore raises them before it sends anything."""


def is_bucket_outage(error: BaseException) -> bool:
    """Return whether a bucket, or another service of AWS, rejected a call or cannot be reached."""
    # Names of modules are compared: importing boto3 takes half a second, and a deployment on a disk does not need it.
    classes = type(error).__mro__
    packages = {each.__module__.partition(".")[0] for each in classes}
    return not packages.isdisjoint(_LIBRARIES_OF_BUCKETS) and _WRONG_CALLS.isdisjoint(
        each.__name__ for each in classes
    )


def is_outage(error: BaseException) -> bool:
    """Return whether the error comes from a disk or a service, and not from a bug. Then a traceback does not help."""
    return (
        isinstance(error, OSError | RepositoryUnavailableError)
        or is_database_outage(error)
        or is_bucket_outage(error)
    )
