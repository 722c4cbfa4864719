"""What the OpenAPI schema leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Endpoint = tuple[str, str, str, Callable[..., Any]]


def without_closing_slashes(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Each operation once: those with a closing slash are the same again."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]
