"""Translates Timestream's SQL (Presto's with durations and further functions) into DuckDB's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.timestream_local.catalog import Catalog
from tests.timestream_local.protocol import invalid

_QUOTED = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")")
_DURATION = re.compile(r"(?<![\w.])(\d+)(ns|us|ms|s|m|h|d)(?!\w)")
_CLOCK = re.compile(r"now|ago|current", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1)
_UNITS = {
    "us": "MICROSECOND", "ms": "MILLISECOND", "s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY",
}  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """What a query reads of one table: the rows within its ``bounds`` on time, in DuckDB's SQL.

    ``columns`` are the names of all columns in the query, or None for all of the table.
    """

    database: str
    table: str
    bounds: str
    columns: frozenset[str] | None


@dataclass(frozen=True)
class Translation:
    """A SELECT in DuckDB's SQL, and what it reads. ``tables`` are pairs of database and table."""

    sql: str
    tables: tuple[tuple[str, str], ...]
    scans: tuple[Scan, ...]


def translate(text: str, catalog: Catalog) -> Translation:
    """Return a SELECT in DuckDB's SQL. Raises :class:`ServiceError` for SQL that Timestream refuses."""
    # The result depends on the time only if the query has one of these functions.
    now = datetime.now(UTC).replace(tzinfo=None) if _CLOCK.search(text) else None
    translation = _translate(text, now)
    for database, table in translation.tables:
        if table not in catalog.names(database):
            raise invalid(f"Table {database}.{table} does not exist.")
    return translation


@lru_cache(maxsize=1000)
def _translate(text: str, now: datetime | None) -> Translation:
    """Translate, and keep the result: a translation takes longer than most queries."""
    try:
        parsed = sqlglot.parse(_with_intervals(text), read="trino")
    except SqlglotError as error:
        raise invalid(f"The query syntax is invalid: {str(error).splitlines()[0]}") from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise invalid("The query is not a single SELECT statement.")
    query = parsed[0]
    if any(query.find_all(exp.Offset)):
        raise invalid("OFFSET is not supported.")
    tables = tuple(_tables_of(query))
    replaced = query.transform(lambda node: _replace(node, now or _EPOCH), copy=False)
    scans = tuple(_scans(replaced))
    return Translation(replaced.sql("duckdb", copy=False), tables, scans)


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


def _tables_of(query: exp.Query) -> Iterator[tuple[str, str]]:
    """Yield database and name of each table. Raises :class:`ServiceError` for a table function."""
    cte_names = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise invalid("Table functions are not supported.")
        if table.db or table.name not in cte_names:
            yield table.db or "", table.name


def _scans(query: exp.Expr) -> Iterator[Scan]:
    everything = any(
        star for star in query.find_all(exp.Star) if not isinstance(star.parent, exp.Count)
    )
    names = None if everything else frozenset(column.name for column in query.find_all(exp.Column))
    for table in query.find_all(exp.Table):
        if table.db:
            yield Scan(table.db, table.name, " AND ".join(["true", *_bounds(table)]), names)


def _bounds(table: exp.Table) -> Iterator[str]:
    """Yield the conditions that every row of the table must meet and that concern only ``time``."""
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select else None
    if where is None:
        return
    condition = where.this
    conjuncts = condition.flatten() if isinstance(condition, exp.And) else [condition]
    for conjunct in conjuncts:
        columns = {column.name for column in conjunct.find_all(exp.Column)}
        if columns == {"time"} and isinstance(
            conjunct, exp.GTE | exp.GT | exp.LTE | exp.LT | exp.EQ | exp.Between
        ):
            bare = conjunct.copy()
            for column in bare.find_all(exp.Column):
                column.set("table", None)
            yield bare.sql("duckdb", copy=False)


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
        expressions=[arguments[1], arguments[0], timestamp(_EPOCH)],
    ),
    "ago": lambda arguments, now: exp.Sub(this=timestamp(now), expression=arguments[0]),
    "now": lambda arguments, now: timestamp(now),
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
