"""Errors of ClickHouse, as its HTTP interface sends them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = re.compile(r"Code: (\d+)\.")
_UNKNOWN_ERROR = 1002
_STATUS_OF_CODES = {
    400: {6, 26, 27, 33, 38, 41, 43, 53, 62, 69, 72, 117, 130, 167, 168, 321},
    401: {194},
    403: {164, 192, 193, 516},
    404: {46, 47, 50, 56, 60, 73, 78, 81, 115},
    413: {158},
    501: {48},
    503: {76, 209},
    504: {159},
}
"""The statuses of some errors. All others have 500."""


@dataclass(frozen=True)
class ClickHouseError(Exception):
    """An error with its code, its name in ClickHouse, and its text."""

    code: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"Code: {self.code}. DB::Exception: {self.text} ({self.name})"


def not_supported(what: str) -> ClickHouseError:
    """Return the error for a part of the interface that this server does not have."""
    return ClickHouseError(48, "NOT_IMPLEMENTED", f"The local ClickHouse does not support {what}.")


def code_of(error: BaseException) -> int:
    """Return the code of an error that this package or the engine raised."""
    if isinstance(error, ClickHouseError):
        return error.code
    found = _CODE.search(str(error))
    return int(found[1]) if found else _UNKNOWN_ERROR


def status_of(code: int) -> int:
    """Return the HTTP status with which a server sends an error."""
    return next((status for status, codes in _STATUS_OF_CODES.items() if code in codes), 500)
