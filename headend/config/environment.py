"""Typed readers of environment variables.

Every reader raises :class:`django.core.exceptions.ImproperlyConfigured` for a wrong value, with one
sentence that names the variable. ``manage.py`` prints this sentence and nothing else.

The value can also be in a file: ``DATABASE_URL_FILE`` instead of ``DATABASE_URL`` is the path of a file with the
value. So a password need not be in the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_NOT_ENCODED = re.compile(r"[?#]|%(?![0-9A-Fa-f]{2})")
"""What a URL path can contain only percent-encoded."""
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_CREDENTIALS = re.compile(r"//.*@", re.DOTALL)
"""The user and the password of a URL. A password with an unencoded ``@`` is not valid, but must be hidden too."""
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_names_read: set[str] = set()


def names_read() -> frozenset[str]:
    """Return the names of the variables that this process has read so far, set or not."""
    return frozenset(_names_read)


def text(name: str, default: str) -> str:
    """Return the variable's value, or ``default`` if the variable is unset or empty.

    The value of ``<name>_FILE`` is the absolute path of a file with the value. Spaces and line ends around the value
    are removed, because editors add them.
    """
    _names_read.add(name)
    value = os.environ.get(name)
    file = os.environ.get(f"{name}_FILE")
    if not file:
        return value or default
    if value:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; unset one of them.")
    return _content(f"{name}_FILE", Path(file)) or default


def _content(name: str, file: Path) -> str:
    if not file.is_absolute():
        raise ImproperlyConfigured(f"{name} is {str(file)!r}; it must be an absolute path.")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}: {file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ImproperlyConfigured(f"{name}: {file} is not text in UTF-8.") from None


def choice(name: str, default: str, allowed: Sequence[str]) -> str:
    """Return the variable's value, which must be one of ``allowed``."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    return value


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    """Return the variable as an integer; both bounds are allowed values."""
    value = text(name, str(default))
    try:
        parsed = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number.") from None
    if not minimum <= parsed <= maximum:
        raise ImproperlyConfigured(
            f"{name} is {parsed}; it must be between {minimum} and {maximum}."
        )
    return parsed


def number(name: str, default: float, *, minimum: float, maximum: float) -> float:
    """Return the variable as a float; both bounds are allowed values."""
    value = text(name, str(default))
    try:
        parsed = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a number.") from None
    if not minimum <= parsed <= maximum:
        raise ImproperlyConfigured(
            f"{name} is {value}; it must be between {minimum:g} and {maximum:g}."
        )
    return parsed


def boolean(name: str, *, default: bool) -> bool:
    """Return whether the variable is on: ``1``, ``true``, ``yes`` or ``on`` in any case."""
    value = text(name, "on" if default else "off").lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it must be on or off.")


def comma_separated(name: str, default: Sequence[str]) -> list[str]:
    """Return the items of a comma-separated list, without surrounding spaces and without empty items."""
    value = text(name, "")
    if not value:
        return list(default)
    return [item.strip() for item in value.split(",") if item.strip()]


def networks(name: str, default: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """Return a comma-separated list of addresses and networks, such as ``10.0.0.7,fd00::/8``."""
    found: list[IPv4Network | IPv6Network] = []
    for item in comma_separated(name, default):
        try:
            found.append(ip_network(item))
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} contains {item!r}; write addresses or networks such as 10.0.0.7 and 10.1.0.0/16."
            ) from None
    return found


def url(name: str, default: str, schemes: Sequence[str]) -> str:
    """Return a URL whose scheme is one of ``schemes``."""
    value = text(name, default)
    if urlsplit(value).scheme not in schemes:
        starts = ", ".join(f"{scheme}://" for scheme in schemes)
        shown = _CREDENTIALS.sub("//***@", value)
        raise ImproperlyConfigured(
            f"{name} is {shown!r}; it must be a URL that starts with {starts}."
        )
    return value


def folder(name: str, default: Path) -> Path:
    """Return the variable as an absolute folder. Its text is a path and not a pattern; a URL is refused."""
    value = text(name, str(default))
    if "://" in value:
        raise ImproperlyConfigured(f"{name} is {value!r}; write the path of a folder, not a URL.")
    path = Path(value).absolute()
    _refuse_unusual(name, path)
    return path


def quoted(path: Path) -> str:
    """Return the path percent-encoded, as a URL contains it. :func:`folder_of` is the inverse."""
    return quote(str(path))


def folder_of(name: str, value: str) -> Path:
    """Return the absolute folder of a ``scheme:///path`` URL that the variable ``name`` contains.

    All characters may be percent-encoded; ``#``, ``?`` and ``%`` must be.
    """
    parts = urlsplit(value)
    wrong = _NOT_ENCODED.search(value)
    if wrong:
        sign = wrong.group()
        raise ImproperlyConfigured(
            f"{name} is {value!r}; write the character {sign} of a folder's name as {quote(sign)}."
        )
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise ImproperlyConfigured(
            f"{name} is {value!r}; write a folder with three slashes: {parts.scheme}:///path."
        )
    # urlsplit deletes tabs and line ends without an error.
    _refuse_unusual(name, Path(value))
    _refuse_unusual(name, path)
    return path


def _refuse_unusual(name: str, path: Path) -> None:
    """Refuse a folder whose name is not text in UTF-8: Polars and Delta would use another folder."""
    if _CONTROL_CHARACTERS.search(str(path)):
        raise ImproperlyConfigured(f"{name} is {str(path)!r}; it contains a control character.")
    try:
        is_utf8 = str(path).encode() == os.fsencode(path)
    except UnicodeEncodeError:
        is_utf8 = False
    if not is_utf8:
        raise ImproperlyConfigured(
            f"{name} is {str(path)!a}; the folder's name must be text in UTF-8."
        )
