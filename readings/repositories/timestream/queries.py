"""Running a query: its pages followed to the end, its text values made a data frame, its end if nobody waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.timestream.clients import Clients, telling_what_failed, tried_again

log = logging.getLogger(__name__)

ROWS_A_PAGE = 1000
"""The most that the service's model allows."""
_CELLS = pl.List(pl.Struct({"ScalarValue": pl.String}))
_LONGEST_PAUSE = 1.0
_MICROSECONDS_LONG = len("2023-02-27 16:00:00.000000")


class Queries:
    """Queries of one account."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def frame(self, sql: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """All rows of the answer; ``schema`` names its columns in order.

        Raises :class:`RepositoryUnavailableError` when the service does not answer to the end.
        """
        empty = pl.DataFrame(schema=schema)
        return pl.concat([empty, *(_decoded(page["Rows"], schema) for page in self._pages(sql))])

    def run(self, sql: str) -> list[list[str | None]]:
        """All rows of the answer as texts; for answers of a few rows. Raises as :meth:`frame` does."""
        return [
            [cell.get("ScalarValue") for cell in row["Data"]]
            for page in self._pages(sql)
            for row in page["Rows"]
        ]

    def _pages(self, sql: str) -> Iterator[dict[str, Any]]:
        """The answer's pages, those without rows too: they mean that the query still runs."""
        call: dict[str, Any] = {"QueryString": sql, "MaxRows": ROWS_A_PAGE}
        query, pause = None, 0.05
        started = time.monotonic()
        try:
            while True:
                with telling_what_failed():
                    page = tried_again(lambda: self._clients.query.query(**call))
                query = page["QueryId"]
                yield page
                token = page.get("NextToken")
                if token is None:
                    break
                call["NextToken"] = token
                if not page["Rows"]:
                    time.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        except BaseException:
            # A reader that stops reading ends here too.
            if query is not None:
                self._cancel(query)
            raise
        log.debug(
            "queried",
            extra={
                "query": query,
                "seconds": round(time.monotonic() - started, 3),
                "scanned": page.get("QueryStatus", {}).get("CumulativeBytesScanned"),
            },
        )

    def _cancel(self, query: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._clients.query.cancel_query(QueryId=query)
        except (BotoCoreError, ClientError) as error:
            # It has ended by itself, or ends when the service gives it up.
            log.info("a query is not cancelled", extra={"query": query, "error": str(error)})


def _decoded(rows: list[dict[str, Any]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Rows as the service sends them, every value a text, as columns of ``schema``."""
    cells = pl.DataFrame({"cells": [row["Data"] for row in rows]}, schema={"cells": _CELLS})
    return cells.select(
        _typed(pl.col("cells").list.get(place).struct.field("ScalarValue"), kind).alias(name)
        for place, (name, kind) in enumerate(schema.items())
    )


def _typed(text: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if kind == frame.INSTANT:
        # Nine decimals; ours are six, and what is finer is cut as everywhere.
        cut = text.str.slice(0, _MICROSECONDS_LONG)
        return cut.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", time_zone="UTC")
    return text.cast(kind)
