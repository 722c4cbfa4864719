"""The parser of request bodies.

It ignores the Content-Type, because clients of the AWS reference send none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser


class BodyTooLarge(APIException):
    """413: the body is larger than the parser accepts."""

    status_code = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit // 1024} KiB.")


class JSONObjectParser(BaseParser):
    """Parses one JSON object of at most ``API_BODY_LIMIT`` bytes."""

    media_type = "*/*"
    limit = settings.API_BODY_LIMIT

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the object.

        Raises :class:`BodyTooLarge`, or ``ParseError`` if the body is no JSON object in UTF-8 or has the
        same key twice. Both contain a sentence for the caller.
        """
        body = stream.read(self.limit + 1)
        limit = self.limit_of(body)
        if len(body) > limit:
            raise BodyTooLarge(limit)
        try:
            value = json.loads(body.decode("utf-8"), object_pairs_hook=_object_without_duplicates)
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8.") from None
        except (ValueError, RecursionError):
            raise ParseError("The body is not JSON.") from None
        if not isinstance(value, dict):
            raise ParseError('The body is JSON, but not an object like {"start_date": …}.')
        return value

    def limit_of(self, body: bytes) -> int:
        """Return how many bytes this body may have, at most :attr:`limit`."""
        return self.limit


class LargeJSONObjectParser(JSONObjectParser):
    """Parses one JSON object of at most ``BODY_LIMIT`` bytes."""

    limit = settings.BODY_LIMIT


class MeterListParser(LargeJSONObjectParser):
    """Parses one JSON object of at most ``API_BODY_LIMIT`` bytes, or ``BODY_LIMIT`` bytes if it names meters."""

    def limit_of(self, body: bytes) -> int:
        """Return the limit of a body with or without ``device_id``. The body need not be JSON."""
        return self.limit if b'"device_id"' in body else settings.API_BODY_LIMIT


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise ParseError(f"{key[:40]!r} is given more than once.")
        value[key] = item
    return value
