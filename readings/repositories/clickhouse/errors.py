"""Turn errors of a ClickHouse server, and of the connection to it, into sentences for operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from headend.config.program import PROGRAM
from readings.repositories.clickhouse.address import TABLE, ClickHouseAddress
from readings.repository_errors import RepositoryUnavailableError

_MAX_DETAILS = 300
_MESSAGE = re.compile(
    r"DB::Exception: (.*?)(?: \(version [^)]*\))?(?: \(for url [^)]*\))?$", re.DOTALL
)
_WRONG_CREDENTIALS = {192, 193, 194, 516}
_MESSAGES = {
    60: f"The table {{database}}.{TABLE} does not exist. Create it with `{PROGRAM} store create`.",
    81: "The database {database} does not exist. Create it in ClickHouse, or correct READINGS_URL.",
    159: "A query took too long.",
    202: "ClickHouse runs too many queries at the moment. Retry later.",
    241: "ClickHouse has too little memory for a query.",
    252: "ClickHouse has too many parts to merge at the moment. Retry later.",
    286: "Another insert into the replicated table is not finished. Retry later.",
    394: "A query was cancelled.",
    497: "A permission of the user {user} is missing; docs/clickhouse-grants.sql lists all of them.",
    **dict.fromkeys(
        _WRONG_CREDENTIALS,
        "ClickHouse rejects the user or the password of READINGS_URL."
        " In a password, percent-encode all characters except letters, digits and -._~.",
    ),
}


@contextmanager
def translate_errors(address: ClickHouseAddress) -> Iterator[None]:
    """Raise :class:`RepositoryUnavailableError` for any error of the library. The message has no password."""
    from clickhouse_connect.driver.exceptions import ClickHouseError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ClickHouseError, HTTPError, OSError) as error:
        raise RepositoryUnavailableError(_sentence(error, address)) from error


def _sentence(error: BaseException, address: ClickHouseAddress) -> str:
    code = getattr(error, "code", None)
    if code is None:
        return f"ClickHouse at {address.server} cannot be reached: {_reason(error, address)}"
    found = _MESSAGE.search(str(error))
    details = " ".join((found[1] if found else str(error)).split())[:_MAX_DETAILS]
    if code in _WRONG_CREDENTIALS:
        return _MESSAGES[code]
    message = _MESSAGES.get(code, "ClickHouse refused a query.")
    message = message.format(database=address.database, user=address.user)
    return f"{message} (code {code}: {details})"


def _reason(error: BaseException, address: ClickHouseAddress) -> str:
    """Return why the connection failed: the innermost cause of the error, and what to do about it."""
    seen: BaseException | None = error
    while seen is not None:
        error = seen
        reason = getattr(seen, "reason", None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__
    text = str(error) or type(error).__name__
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return (
            "the port does not use TLS. Use the port for HTTPS, or add ?secure=off to READINGS_URL."
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            "its certificate is not trusted. Add ?ca_cert=FILE with the certificate of its authority"
            f" to READINGS_URL, or correct the host name. ({text[:_MAX_DETAILS]})"
        )
    if address.ca_cert and isinstance(error, FileNotFoundError):
        return f"the file {address.ca_cert} does not exist. Correct ca_cert in READINGS_URL."
    if not address.secure and "RemoteDisconnected" in type(error).__name__ + text:
        return f"{text}. If the port is for HTTPS, use secure=on."
    return (
        f"{text[:_MAX_DETAILS].rstrip('.')}. Check that the server runs, and the host and the port of READINGS_URL."
        f" With secure={'on' if address.secure else 'off'}, the port must be the one for {'HTTPS' if address.secure else 'HTTP'}."
    )
