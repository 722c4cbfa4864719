"""Let a client of Timestream return the rows of a query as they are in the JSON of the response.

botocore converts a response by its model, value by value, in Python: half of the processor time of a query with many
rows. The values of rows are text, so their conversion changes nothing.
"""

from __future__ import annotations

from typing import Any

from botocore.parsers import ResponseParserFactory

_ROWS = "RowList"


def keep_rows(client: Any) -> Any:
    """Let a ``timestream-query`` client return rows without their conversion, and return the client."""
    # botocore has no public way to replace the parser of one client. The test fails if a new version changes this.
    client._endpoint._response_parser_factory = _KeepRows()
    return client


class _KeepRows(ResponseParserFactory):  # type: ignore[misc] # botocore has no type hints, so mypy does not know its base class
    def create_parser(self, protocol_name: str) -> Any:
        parser = super().create_parser(protocol_name)
        convert = parser._handle_list
        parser._handle_list = lambda shape, value: (
            value if shape.name == _ROWS else convert(shape, value)
        )
        return parser
