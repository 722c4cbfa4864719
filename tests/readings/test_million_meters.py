"""A page of meters reads as many rows of an index as it has meters, even if the table has a million meters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from readings.meter_list import MAX_EXAMINED, MeterPage, page_by_device_id, page_of_silent
from readings.models import Meter
from readings.window import Position

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        connection.vendor != "sqlite", reason="counts the steps of SQLite's programs"
    ),
]

MILLION = 1_000_000
NEWEST = datetime(2026, 5, 1, tzinfo=UTC)
MIDDLE = NEWEST - timedelta(seconds=MILLION // 2 // 60)


@pytest.fixture
def many() -> Callable[[int], None]:
    """A function that fills the table with this number of meters; 60 of them have each last time, a second apart."""

    def fill(meters: int) -> None:
        Meter.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %s - 1)"
                " INSERT INTO readings_meter (device_id, last_day, last_time)"
                " SELECT printf('NMI-%%07d', i * (1000000 / %s)), '2026-05-01',"
                " datetime('2026-05-01', printf('-%%d seconds', i / 60)) FROM n",
                [meters, meters],
            )

    return fill


class Steps:
    """Counts the steps of SQLite's virtual machine, which are the same on every machine."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Steps:
        connection.connection.set_progress_handler(self._count, 1)
        return self

    def __exit__(self, *_: Any) -> None:
        connection.connection.set_progress_handler(None, 1)

    def _count(self) -> int:
        self.count += 1
        return 0


PAGES: dict[str, Callable[[], MeterPage]] = {
    "first": lambda: page_by_device_id("", "", 100),
    "from the middle": lambda: page_by_device_id("", "NMI-0500000", 100),
    "with a prefix": lambda: page_by_device_id("NMI-05", "NMI-0500000", 100),
    "silent": lambda: page_of_silent(NEWEST, "", None, 100),
    "silent from the middle": lambda: page_of_silent(
        NEWEST, "", Position(MIDDLE, "NMI-0500000"), 100
    ),
    "silent with a prefix of no meter": lambda: page_of_silent(NEWEST, "x", None, 100),
}


def test_a_page_of_a_million_meters_takes_as_many_steps_as_one_of_ten_thousand(
    many: Callable[[int], None],
) -> None:
    steps: dict[int, dict[str, int]] = {}
    for meters in (10_000, MILLION):
        many(meters)
        steps[meters] = {}
        for name, page in PAGES.items():
            with Steps() as counted, CaptureQueriesContext(connection) as queries:
                found = page()
            steps[meters][name] = counted.count
            assert len(queries) <= 2, name
            assert len(found.device_ids) == (0 if name.endswith("no meter") else 100), name
    few, most = steps[10_000], steps[MILLION]
    assert all(most[name] < few[name] * 1.2 + 50 for name in PAGES), steps
    assert all(most[name] < 100 * 40 for name in PAGES if not name.endswith("no meter")), steps
    assert most["silent with a prefix of no meter"] < MAX_EXAMINED * 40, steps
    used = {plan for page in PAGES.values() for plan in plans(page)}
    # No other plan reads rows that are not in the page, or sorts them.
    assert used == {
        "SEARCH readings_meter USING INDEX sqlite_autoindex_readings_meter_1 (device_id>? AND device_id<?)",
        "SEARCH readings_meter USING COVERING INDEX meter_by_last_time (last_time<?)",
        "SEARCH readings_meter USING COVERING INDEX meter_by_last_time (last_time>? AND last_time<?)",
        "SEARCH readings_meter USING COVERING INDEX meter_by_last_time (last_time=? AND device_id>?)",
    }


def plans(page: Callable[[], MeterPage]) -> Iterator[str]:
    """Yield how SQLite answers each query of a page."""
    with CaptureQueriesContext(connection) as queries:
        page()
    for query in list(queries):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            yield " ".join(row[3] for row in cursor.fetchall())
