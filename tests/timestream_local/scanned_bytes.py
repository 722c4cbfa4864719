"""How many bytes a query scans, by which AWS charges.

AWS documents only that conditions on time and measure name and the selected columns reduce the bytes.
Assumption: the rows of each table within the query's bounds on time, times the width of the columns
that the query names.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
from sqlglot import exp

from tests.timestream_local.catalog import Catalog
from tests.timestream_local.dialect import tables_of
from tests.timestream_local.store import Columns, quoted

MIN_METERED_BYTES = 10_000_000
"""The service charges at least ten megabytes for a query."""
_WIDTH = 8
_TEXT_WIDTH = 36


def count_scanned_bytes(
    query: exp.Query, catalog: Catalog, cursor: duckdb.DuckDBPyConnection
) -> int:
    """Return the bytes that a query scans in all its tables."""
    total = 0
    for table in tables_of(query):
        if not table.db:
            continue
        bounds = " AND ".join(["true", *_bounds(table)])
        name = f"{quoted(table.db)}.{quoted(table.name)}"
        [[rows]] = cursor.execute(f"SELECT count(*) FROM {name} WHERE {bounds}").fetchall()
        total += rows * _width(query, catalog.table(table.db, table.name).columns)
    return total


def _bounds(table: exp.Table) -> Iterator[str]:
    """Return the conditions on ``time`` only that every row of the table must meet."""
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
            yield bare.sql("duckdb")


def _width(query: exp.Query, columns: Columns) -> int:
    names = {column.name for column in query.find_all(exp.Column)}
    everything = any(
        star for star in query.find_all(exp.Star) if not isinstance(star.parent, exp.Count)
    )
    width = 0
    for name in columns.visible:
        if everything or name in names:
            text = name in columns.dimensions or columns.measures.get(name) == "VARCHAR"
            width += _TEXT_WIDTH if text else _WIDTH
    return width
