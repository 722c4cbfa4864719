"""How many bytes a query scans, by which AWS charges.

AWS documents only that conditions on time and measure name and the selected columns reduce the bytes.
Assumption: the rows of each table within the query's bounds on time, times the width of the columns
that the query names.
"""

from __future__ import annotations

import duckdb

from tests.timestream_local.catalog import Catalog
from tests.timestream_local.dialect import Scan, Translation
from tests.timestream_local.store import Columns, quoted

MIN_METERED_BYTES = 10_000_000
"""The service charges at least ten megabytes for a query."""
_WIDTH = 8
_TEXT_WIDTH = 36


def count_scanned_bytes(
    query: Translation, catalog: Catalog, cursor: duckdb.DuckDBPyConnection
) -> int:
    """Return the bytes that a query scans in all its tables."""
    total = 0
    for scan in query.scans:
        name = f"{quoted(scan.database)}.{quoted(scan.table)}"
        [[rows]] = cursor.execute(f"SELECT count(*) FROM {name} WHERE {scan.bounds}").fetchall()
        total += rows * _width(scan, catalog.table(scan.database, scan.table).columns)
    return total


def _width(scan: Scan, columns: Columns) -> int:
    width = 0
    for name in columns.visible:
        if scan.columns is None or name in scan.columns:
            text = name in columns.dimensions or columns.measures.get(name) == "VARCHAR"
            width += _TEXT_WIDTH if text else _WIDTH
    return width
