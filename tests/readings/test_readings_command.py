"""``manage.py readings``: the guide's verification query, as a table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO

from django.core.management import call_command

from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("readings", *arguments, stdout=out)
    return out.getvalue()


def fill(store: ReadingsRepository) -> None:
    store.write(readings_for(Fleet(devices=30), datetime(2023, 2, 27, 23, 55, tzinfo=UTC)))
    store.write(readings_for(Fleet(devices=40), datetime(2023, 2, 28, 0, 0, tzinfo=UTC)))
    store.write(readings_for(Fleet(devices=40), datetime(2023, 2, 28, 0, 5, tzinfo=UTC)))


def test_a_row_a_day_and_one_in_all(store: ReadingsRepository) -> None:
    fill(store)
    answer = json.loads(run("--json"))
    assert answer["total"] == {
        "day": "in all",
        "earliest": "2023-02-27 23:55:00.000000",
        "latest": "2023-02-28 00:05:00.000000",
        "readings": 110,
        "meters": 40,
        "intervals": 3,
    }
    assert [(d["day"], d["readings"], d["meters"], d["intervals"]) for d in answer["days"]] == [
        ("2023-02-27", 30, 30, 1),
        ("2023-02-28", 80, 40, 2),
    ]


def test_the_table_shows_the_same(store: ReadingsRepository) -> None:
    fill(store)
    table = run()
    for text in ("2023-02-27 23:55:00.000000", "2023-02-28 00:05:00.000000", "110", "in all"):
        assert text in table


def test_an_empty_store_says_what_to_do_next(store: ReadingsRepository) -> None:
    assert "backfill" in run()
    assert json.loads(run("--json"))["total"]["readings"] == 0
