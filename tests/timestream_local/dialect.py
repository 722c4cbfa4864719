"""Timestream's SQL, which is Presto's with durations and some functions of its own, made DuckDB's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.timestream_local.catalog import Catalog
from tests.timestream_local.protocol import invalid

_QUOTED = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")")
_DURATION = re.compile(r"(?<![\w.])(\d+)(ns|us|ms|s|m|h|d)(?!\w)")
_UNITS = {
    "us": "MICROSECOND", "ms": "MILLISECOND", "s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY",
}  # fmt: skip


def transpiled(text: str, catalog: Catalog) -> exp.Query:
    """A SELECT in DuckDB's terms. Raises the service's error for what it would not take."""
    try:
        parsed = sqlglot.parse(_with_intervals(text), read="trino")
    except SqlglotError as error:
        raise invalid(f"The query syntax is invalid: {str(error).splitlines()[0]}") from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise invalid("The query is no single SELECT statement.")
    query = parsed[0]
    _check(query, catalog)
    now = datetime.now(UTC).replace(tzinfo=None)
    replaced = query.transform(lambda node: _replaced(node, now))
    assert isinstance(replaced, exp.Query)
    return replaced


def _with_intervals(text: str) -> str:
    """``5m`` is a duration to the service, and nothing to Presto."""

    def interval(found: re.Match[str]) -> str:
        if found[2] == "ns":
            raise invalid("Durations in nanoseconds are not served here.")
        return f"INTERVAL '{found[1]}' {_UNITS[found[2]]}"

    pieces = _QUOTED.split(text)
    return "".join(
        piece if place % 2 else _DURATION.sub(interval, piece) for place, piece in enumerate(pieces)
    )


def _check(query: exp.Query, catalog: Catalog) -> None:
    if any(query.find_all(exp.Offset)):
        raise invalid("OFFSET is not supported.")
    named = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in tables_of(query):
        if not table.db and table.name in named:
            continue
        if table.name not in catalog.names(table.db or ""):
            raise invalid(f"Table {table.db}.{table.name} does not exist.")


def tables_of(query: exp.Expr) -> Iterator[exp.Table]:
    """The tables that a query reads, functions in their place refused."""
    for table in query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise invalid("A function is not supported in the place of a table.")
        yield table


def timestamp(moment: datetime) -> exp.Expr:
    """A literal of an instant."""
    return exp.cast(exp.Literal.string(moment.isoformat(sep=" ")), "TIMESTAMP")


def _replaced(node: exp.Expr, now: datetime) -> exp.Expr:
    if isinstance(node, exp.CurrentTimestamp):
        return timestamp(now)
    if isinstance(node, exp.Anonymous):
        made = _FUNCTIONS.get(node.name.lower())
        if made is not None:
            return made(node.expressions, now)
        raise invalid(f"Function {node.name} is not registered.")
    if isinstance(node, exp.FromISO8601Timestamp):
        return exp.cast(
            exp.func("replace", node.this, exp.Literal.string("Z"), exp.Literal.string("")),
            "TIMESTAMP",
        )
    return node


_FUNCTIONS: dict[str, Callable[[list[exp.Expr], datetime], exp.Expr]] = {
    "bin": lambda given, now: exp.Anonymous(
        this="time_bucket", expressions=[given[1], given[0], timestamp(datetime(1970, 1, 1))]
    ),
    "ago": lambda given, now: exp.Sub(this=timestamp(now), expression=given[0]),
    "now": lambda given, now: timestamp(now),
    "from_iso8601_timestamp": lambda given, now: exp.cast(
        exp.func("replace", given[0], exp.Literal.string("Z"), exp.Literal.string("")), "TIMESTAMP"
    ),
    "from_milliseconds": lambda given, now: exp.Anonymous(this="epoch_ms", expressions=given),
    "to_milliseconds": lambda given, now: exp.Anonymous(this="epoch_ms", expressions=given),
    "to_nanoseconds": lambda given, now: exp.Anonymous(this="epoch_ns", expressions=given),
    "from_nanoseconds": lambda given, now: exp.Anonymous(
        this="make_timestamp",
        expressions=[exp.IntDiv(this=given[0], expression=exp.Literal.number(1000))],
    ),
}
