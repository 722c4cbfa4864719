"""Run queries: fetch all result pages, turn text values into a data frame, cancel a query that is not needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.timestream.clients import (
    Clients,
    call_with_retries,
    translate_aws_errors,
)

log = logging.getLogger(__name__)

ROWS_PER_PAGE = 1000
"""The maximum that the service allows."""
_FIRST_PAUSE, _MAX_PAUSE = 0.05, 1.0
_MICROSECONDS_LENGTH = len("2023-02-27 16:00:00.000000")


class Queries:
    """Runs queries in one account."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def frame(self, sql: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Return all result rows as a data frame; ``schema`` names the result columns in order.

        Raises :class:`RepositoryUnavailableError` if the service does not return all rows.
        """
        empty = pl.DataFrame(schema=schema)
        pages = (page["Rows"] for page in self._pages(sql))
        return pl.concat([empty, *(_decode(rows, schema) for rows in pages if rows)])

    def rows(self, sql: str) -> list[list[str | None]]:
        """Return all result rows as texts; for results of a few rows. Raises as :meth:`frame` does."""
        return [
            [cell.get("ScalarValue") for cell in row["Data"]]
            for page in self._pages(sql)
            for row in page["Rows"]
        ]

    def _pages(self, sql: str) -> Iterator[dict[str, Any]]:
        """Yield the result pages. A page without rows but with a token means that the query is still running.

        Between pages :func:`call_with_retries` checks for cancellation. The query is cancelled at the service
        after any exception, including when the consumer stops iterating.
        """
        parameters: dict[str, Any] = {"QueryString": sql, "MaxRows": ROWS_PER_PAGE}
        query_id, pause = None, _FIRST_PAUSE
        started = time.monotonic()
        try:
            while True:
                with translate_aws_errors():
                    page = call_with_retries(lambda: self._clients.query.query(**parameters))
                query_id = page["QueryId"]
                yield page
                token = page.get("NextToken")
                if token is None:
                    break
                parameters["NextToken"] = token
                if not page["Rows"]:
                    time.sleep(pause)
                    pause = min(2 * pause, _MAX_PAUSE)
        except BaseException:
            # Includes GeneratorExit: the consumer stopped iterating.
            if query_id is not None:
                self._cancel(query_id)
            raise
        log.debug(
            "queried",
            extra={
                "query": query_id,
                "seconds": round(time.monotonic() - started, 3),
                "scanned": page.get("QueryStatus", {}).get("CumulativeBytesScanned"),
            },
        )

    def _cancel(self, query_id: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._clients.query.cancel_query(QueryId=query_id)
        except (BotoCoreError, ClientError, TimeoutError) as error:
            # The query has already ended, or ends by the service's own timeout.
            log.info("could not cancel a query", extra={"query": query_id, "error": str(error)})


def _decode(rows: list[dict[str, Any]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return rows (at least one) as columns of ``schema``. The service sends every value as text.

    Polars takes 15 times as long to convert the nested rows as to convert a list for each column.
    """
    texts = zip(*([cell.get("ScalarValue") for cell in row["Data"]] for row in rows), strict=True)
    columns = [
        pl.Series(name, values, pl.String) for name, values in zip(schema, texts, strict=True)
    ]
    return pl.DataFrame(columns).select(_parse(pl.col(name), kind) for name, kind in schema.items())


def _parse(text: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if kind == frame.INSTANT:
        # The service sends nine decimals; readings have six. As everywhere, the rest is truncated.
        truncated = text.str.slice(0, _MICROSECONDS_LENGTH)
        return truncated.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", time_zone="UTC")
    return text.cast(kind)
