"""Translates Timestream's SQL (Presto's with durations and further functions) into DuckDB's."""

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


def translate(text: str, catalog: Catalog) -> exp.Query:
    """Return a SELECT in DuckDB's SQL. Raises :class:`ServiceError` for SQL that Timestream refuses."""
    try:
        parsed = sqlglot.parse(_with_intervals(text), read="trino")
    except SqlglotError as error:
        raise invalid(f"The query syntax is invalid: {str(error).splitlines()[0]}") from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise invalid("The query is not a single SELECT statement.")
    query = parsed[0]
    _check(query, catalog)
    now = datetime.now(UTC).replace(tzinfo=None)
    replaced = query.transform(lambda node: _replace(node, now))
    assert isinstance(replaced, exp.Query)
    return replaced


def _with_intervals(text: str) -> str:
    """Replace durations such as ``5m``, which Presto does not have, by intervals."""

    def interval(match: re.Match[str]) -> str:
        if match[2] == "ns":
            raise invalid("The local Timestream does not support durations in nanoseconds.")
        return f"INTERVAL '{match[1]}' {_UNITS[match[2]]}"

    pieces = _QUOTED.split(text)
    return "".join(
        piece if index % 2 else _DURATION.sub(interval, piece) for index, piece in enumerate(pieces)
    )


def _check(query: exp.Query, catalog: Catalog) -> None:
    if any(query.find_all(exp.Offset)):
        raise invalid("OFFSET is not supported.")
    cte_names = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in tables_of(query):
        if not table.db and table.name in cte_names:
            continue
        if table.name not in catalog.names(table.db or ""):
            raise invalid(f"Table {table.db}.{table.name} does not exist.")


def tables_of(query: exp.Expr) -> Iterator[exp.Table]:
    """Return the tables that a query reads. Raises :class:`ServiceError` for a table function."""
    for table in query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise invalid("Table functions are not supported.")
        yield table


def timestamp(moment: datetime) -> exp.Expr:
    """Return an instant as an SQL literal."""
    return exp.cast(exp.Literal.string(moment.isoformat(sep=" ")), "TIMESTAMP")


def _replace(node: exp.Expr, now: datetime) -> exp.Expr:
    if isinstance(node, exp.CurrentTimestamp):
        return timestamp(now)
    if isinstance(node, exp.Anonymous):
        function = _FUNCTIONS.get(node.name.lower())
        if function is not None:
            return function(node.expressions, now)
        raise invalid(f"Function {node.name} is not registered.")
    if isinstance(node, exp.FromISO8601Timestamp):
        return exp.cast(
            exp.func("replace", node.this, exp.Literal.string("Z"), exp.Literal.string("")),
            "TIMESTAMP",
        )
    return node


_FUNCTIONS: dict[str, Callable[[list[exp.Expr], datetime], exp.Expr]] = {
    "bin": lambda arguments, now: exp.Anonymous(
        this="time_bucket",
        expressions=[arguments[1], arguments[0], timestamp(datetime(1970, 1, 1))],
    ),
    "ago": lambda arguments, now: exp.Sub(this=timestamp(now), expression=arguments[0]),
    "now": lambda arguments, now: timestamp(now),
    "from_iso8601_timestamp": lambda arguments, now: exp.cast(
        exp.func("replace", arguments[0], exp.Literal.string("Z"), exp.Literal.string("")),
        "TIMESTAMP",
    ),
    "from_milliseconds": lambda arguments, now: exp.Anonymous(
        this="epoch_ms", expressions=arguments
    ),
    "to_milliseconds": lambda arguments, now: exp.Anonymous(this="epoch_ms", expressions=arguments),
    "to_nanoseconds": lambda arguments, now: exp.Anonymous(this="epoch_ns", expressions=arguments),
    "from_nanoseconds": lambda arguments, now: exp.Anonymous(
        this="make_timestamp",
        expressions=[exp.IntDiv(this=arguments[0], expression=exp.Literal.number(1000))],
    ),
}
