"""The parts of ``READINGS_URL=clickhouse://user:password@host:8443/database?…``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

TABLE = "readings"
"""The table in the database of the URL."""
SHARD_TABLE = "readings_shard"
"""In a cluster, the table that stores the readings on each server. :data:`TABLE` then stands for all of them."""
_FORM = "clickhouse://user:password@host:8443/database"
_OPTIONS = ("secure", "ca_cert")
_SECURE_PORT, _PLAIN_PORT = 8443, 8123
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,199}")
_NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


@dataclass(frozen=True)
class ClickHouseAddress:
    """A database of a server. ``ca_cert`` is a file with certificates of authorities that the system does not know."""

    host: str
    port: int
    database: str
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = True
    ca_cert: str | None = None

    @classmethod
    def of(cls, url: str) -> ClickHouseAddress:
        """Parse the URL. Raises ``ValueError`` with a sentence for the operator, which never contains the password."""
        _refuse_unencoded_credentials(url)
        parts = urlsplit(url)
        options = _options(parts.query)
        secure = _is_on(options.get("secure", "on"))
        try:
            port = parts.port or (_SECURE_PORT if secure else _PLAIN_PORT)
        except ValueError:
            raise ValueError(f"the port is not a number from 1 to 65535; use {_FORM}.") from None
        database = unquote(parts.path.strip("/"))
        if not parts.hostname:
            raise ValueError(f"the URL names no host; use {_FORM}.")
        if not _DATABASE.fullmatch(database):
            raise ValueError(
                f"{database!r} is not a valid name of a ClickHouse database; use {_FORM}."
            )
        if options.get("ca_cert") and not secure:
            raise ValueError(
                "the option ca_cert has no effect with secure=off; remove one of them."
            )
        return cls(
            parts.hostname,
            port,
            database,
            unquote(parts.username or "") or "default",
            unquote(parts.password or ""),
            secure,
            options.get("ca_cert"),
        )

    @property
    def server(self) -> str:
        """The server as messages name it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _refuse_unencoded_credentials(url: str) -> None:
    """Refuse characters in the user and the password that must be percent-encoded.

    The last ``@`` of the URL is before the host: neither a host nor our options contain this character.
    """
    credentials, at, _ = url.partition("://")[2].rpartition("@")
    for sign in "@/?#" if at else "":
        if sign in credentials:
            raise ValueError(
                f"the user or password contains the character {sign}; write it as %{ord(sign):02X}."
            )
    if _NOT_ENCODED.search(credentials):
        raise ValueError("the user or password contains the character %; write it as %25.")


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options.keys() - set(_OPTIONS):
        raise ValueError(f"{option} is not a known option; use {', '.join(_OPTIONS)}.")
    return options


def _is_on(value: str) -> bool:
    if value.lower() not in _ON + _OFF:
        raise ValueError(f"secure={value} is unknown; use secure=on or secure=off.")
    return value.lower() in _ON
