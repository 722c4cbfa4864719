"""Every URL of the deployment, found in the URL resolver, and values that views may not expect.

A new URL, and a new parameter of a view, is tested without being listed anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.http import QueryDict
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_NAMED_GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")


@dataclass(frozen=True)
class Route:
    """A path with its parameters in angle brackets, such as ``requests/<pk>/``, and the name of its URL pattern."""

    path: str
    name: str

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters in the path."""
        return _PARAMETER.findall(self.path)

    def with_values(self, values: Mapping[str, Any]) -> str:
        """Return the path for some values of its parameters."""
        return "/" + _PARAMETER.sub(lambda match: str(values[match[1]]), self.path)


def every_route() -> list[Route]:
    """Return the routes of all URL patterns."""
    return list(_routes("", get_resolver().url_patterns))


def _routes(prefix: str, patterns: list[URLPattern | URLResolver]) -> Iterator[Route]:
    for pattern in patterns:
        path = prefix + _path(pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(path, pattern.url_patterns)
        else:
            yield Route(path, pattern.name or "")


def _path(pattern: URLPattern | URLResolver) -> str:
    text = str(pattern.pattern)
    if isinstance(pattern.pattern, RegexPattern):
        text = _NAMED_GROUP.sub(r"<\1>", text.removeprefix("^").removesuffix("$"))
    return _PARAMETER.sub(r"<\1>", text)


POISON = [
    "x", "", "-1", "0", "9" * 25, "9223372036854775808", "1e999", "NaN", "0001-01-01", "9999-12-31T23:59:59-23:59",
    "1970-01-01", "\ufffd", "a" * 3000, "[", "%", "\u0660", "http://[", "//other.example:99999/", f"{'9' * 20},1",
    "00000000-0000-0000-0000-000000000000",
]  # fmt: skip
"""Values that are wrong for nearly every parameter, at the ends of a range, or too large for a database."""


class ParameterNames:
    """Records the names of the query parameters and form fields that views read."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        for method in ("get", "getlist", "pop", "__getitem__", "__contains__"):
            patch.setattr(QueryDict, method, self._recording(getattr(QueryDict, method)))

    def _recording(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def recording(query: QueryDict, name: str, *rest: Any) -> Any:
            self.names.add(name)
            return original(query, name, *rest)

        return recording

    def take(self) -> list[str]:
        """Return the names that were read since the last call."""
        names, self.names = sorted(self.names - {"", "csrfmiddlewaretoken"}), set()
        return names
