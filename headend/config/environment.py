"""Typed readers of environment variables that refuse a bad value in one line.

Every reader raises :class:`django.core.exceptions.ImproperlyConfigured` with a
sentence that names the variable; ``manage.py`` prints it and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off"}


def text(name: str, default: str) -> str:
    """The variable as it stands; an empty one counts as unset."""
    return os.environ.get(name) or default


def choice(name: str, default: str, allowed: Sequence[str]) -> str:
    """One of ``allowed``."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; it takes one of {', '.join(allowed)}.")
    return value


def whole(name: str, default: int, *, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``."""
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; it takes a whole number.") from None
    if not least <= number <= most:
        raise ImproperlyConfigured(f"{name} is {number}; it takes {least} to {most}.")
    return number


def number(name: str, default: float, *, least: float, most: float) -> float:
    """A number from ``least`` to ``most``, decimals allowed."""
    value = text(name, str(default))
    try:
        parsed = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; it takes a number.") from None
    if not least <= parsed <= most:
        raise ImproperlyConfigured(f"{name} is {value}; it takes {least:g} to {most:g}.")
    return parsed


def switch(name: str, *, default: bool) -> bool:
    """On or off."""
    value = text(name, "on" if default else "off").lower()
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it takes on or off.")


def words(name: str, default: Sequence[str]) -> list[str]:
    """A comma-separated list, blanks dropped."""
    value = os.environ.get(name)
    if not value:
        return list(default)
    return [word.strip() for word in value.split(",") if word.strip()]


def url(name: str, default: str, schemes: Sequence[str]) -> str:
    """A URL whose scheme is one of ``schemes``."""
    value = text(name, default)
    scheme = urlsplit(value).scheme
    if scheme not in schemes:
        takes = ", ".join(f"{allowed}://" for allowed in schemes)
        raise ImproperlyConfigured(f"{name} is {value!r}; it takes a URL that starts with {takes}.")
    return value


def url_path(name: str, value: str) -> Path:
    """The absolute folder that a ``scheme:///path`` URL names."""
    parts: SplitResult = urlsplit(value)
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise ImproperlyConfigured(
            f"{name} is {value!r}; a folder is written with three slashes: {parts.scheme}:///path."
        )
    return path


def folder(name: str, path: Path) -> Path:
    """``path``, made if it is missing. Its parent must exist: an unmounted disk is not silently shadowed."""
    try:
        path.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise ImproperlyConfigured(f"{name}: the folder {path.parent} does not exist.") from None
    except OSError as error:
        raise ImproperlyConfigured(f"{name}: {path}: {error.strerror}.") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name}: {path} cannot be read and written by this user.")
    return path
