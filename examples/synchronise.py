"""Keep a copy of all readings of a headend deployment in an SQLite database, without loss and without duplicates.

    HEADEND_KEY=hek_… python examples/synchronise.py http://localhost:8000 readings.sqlite3 --every 60

Each pull requests what arrived since the last one, late and corrected readings included; a corrected reading replaces
the copied one. Stop it at any time and start it again: it continues where it was. It needs only Python's standard
library.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

COLUMNS = [
    "time", "arrival_time", "device_id", "measure_name", "load", "crrnt", "pf", "kva", "kw", "vltg",
    "kwh", "import_kwh", "export_kwh", "quality",
]  # fmt: skip
TABLES = f"""
CREATE TABLE IF NOT EXISTS readings ({", ".join(COLUMNS)}, PRIMARY KEY (device_id, time));
CREATE TABLE IF NOT EXISTS last_pull (as_of TEXT);
"""
VALUES = f"({', '.join(COLUMNS)}) VALUES ({', '.join('?' for _ in COLUMNS)})"
BEGINNING = "1970-01-01"
PAGE_SIZE = 10_000

GetPage = Callable[[str], dict[str, Any]]
"""Returns the page of readings at a URL."""


def pull(copy: sqlite3.Connection, get_page: GetPage, url: str) -> int:
    """Store everything that arrived since the last pull. Return the number of readings.

    If it is interrupted, the next pull requests the same readings again and replaces those that are stored.
    """
    _create_tables(copy)
    last_pull = copy.execute("SELECT as_of FROM last_pull").fetchone()
    parameters = {
        "start_date": BEGINNING,
        "arrived_after": last_pull[0] if last_pull else BEGINNING,
        "columns": "all",
        "page_size": PAGE_SIZE,
    }
    next_url: str | None = f"{url}/readings?{urlencode(parameters)}"
    as_of, count = None, 0
    while next_url:
        page = get_page(next_url)
        with copy:
            rows = ([record[name] for name in COLUMNS] for record in page["records"])
            copy.executemany(f"INSERT OR REPLACE INTO readings {VALUES}", rows)
        count += len(page["records"])
        if page["next"]:
            print(f"{count:,} readings so far", file=sys.stderr)
        # All pages of a pull have the same `as_of`: the server chose it for the first one.
        as_of, next_url = page["filter_params"]["as_of"], page["next"]
    with copy:
        copy.execute("DELETE FROM last_pull")
        copy.execute("INSERT INTO last_pull VALUES (?)", [as_of])
    return count


def _create_tables(copy: sqlite3.Connection) -> None:
    copy.executescript(TABLES)
    stored = {row[1] for row in copy.execute("PRAGMA table_info(readings)")}
    if missing := [name for name in COLUMNS if name not in stored]:
        # An earlier version of this program created the table. The next pull requests all readings again.
        with copy:
            copy.execute("DELETE FROM last_pull")
        for name in missing:
            copy.execute(f"ALTER TABLE readings ADD COLUMN {name}")


def page_over_http(key: str) -> GetPage:
    """Return a function that gets pages with this API key."""

    def get_page(url: str) -> dict[str, Any]:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=60) as response:
            page: dict[str, Any] = json.load(response)
        return page

    return get_page


def main() -> None:
    """Pull once, or repeatedly with ``--every``."""
    parser = argparse.ArgumentParser(description="Copy all readings into an SQLite database.")
    parser.add_argument("url", help="URL of the deployment")
    parser.add_argument("database", help="the SQLite database; it is created if it is missing")
    parser.add_argument("--every", type=float, help="seconds between two pulls; without it, once")
    options = parser.parse_args()
    key = os.environ.get("HEADEND_KEY") or sys.exit("HEADEND_KEY is not set: it is the API key.")
    copy = sqlite3.connect(options.database)
    while True:
        try:
            count = pull(copy, page_over_http(key), options.url.rstrip("/"))
            print(f"{count:,} readings")
        except OSError as error:  # no connection, a timeout, or an error status
            if not options.every:
                raise SystemExit(f"The pull failed: {error}") from None
            print(f"The pull failed and will be repeated: {error}")
        if not options.every:
            return
        time.sleep(options.every)


if __name__ == "__main__":
    main()
