"""``manage.py readings``: the stored readings, day by day."""

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


def write_three_intervals(store: ReadingsRepository) -> None:
    store.write(readings_for(Fleet(devices=30), datetime(2023, 2, 27, 23, 55, tzinfo=UTC)))
    store.write(readings_for(Fleet(devices=40), datetime(2023, 2, 28, 0, 0, tzinfo=UTC)))
    store.write(readings_for(Fleet(devices=40), datetime(2023, 2, 28, 0, 5, tzinfo=UTC)))


def test_json_has_a_row_for_each_day_and_one_for_the_total(store: ReadingsRepository) -> None:
    write_three_intervals(store)
    answer = json.loads(run("--json"))
    assert answer["total"] == {
        "day": "total",
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


def test_the_table_shows_the_same_numbers(store: ReadingsRepository) -> None:
    write_three_intervals(store)
    table = run()
    for text in ("2023-02-27 23:55:00.000000", "2023-02-28 00:05:00.000000", "110", "total"):
        assert text in table


def test_an_empty_repository_says_what_to_do_next(store: ReadingsRepository) -> None:
    assert "backfill" in run()
    assert json.loads(run("--json"))["total"]["readings"] == 0
