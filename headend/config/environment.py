"""Typed readers of environment variables.

Every reader raises :class:`django.core.exceptions.ImproperlyConfigured` for a wrong value, with one
sentence that names the variable. ``manage.py`` prints this sentence and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def text(name: str, default: str) -> str:
    """Return the variable's value unchanged, or ``default`` if the variable is unset or empty."""
    return os.environ.get(name) or default


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
    value = os.environ.get(name)
    if not value:
        return list(default)
    return [item.strip() for item in value.split(",") if item.strip()]


def url(name: str, default: str, schemes: Sequence[str]) -> str:
    """Return a URL whose scheme is one of ``schemes``."""
    value = text(name, default)
    if urlsplit(value).scheme not in schemes:
        starts = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a URL that starts with {starts}."
        )
    return value


def folder_of(name: str, value: str) -> Path:
    """Return the absolute folder of a ``scheme:///path`` URL that the variable ``name`` contains."""
    parts: SplitResult = urlsplit(value)
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise ImproperlyConfigured(
            f"{name} is {value!r}; write a folder with three slashes: {parts.scheme}:///path."
        )
    return path
