"""Migrations that change tables with data keep the data, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from tests.suppliers import END, START

BEFORE, AFTER = "0008_delete_keyhandover", "0009_one_lease"

Migrate = Callable[[str], Any]


@pytest.fixture
def migrate(transactional_db: None) -> Iterator[Migrate]:
    """Migrate the exports tables to a migration, and return the models as they are there."""

    def to(name: str) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([("exports", name)])
        return executor.loader.project_state([("exports", name)]).apps.get_model

    yield to
    call_command("migrate", verbosity=0)


def values(model: Any, *fields: str) -> tuple[Any, ...]:
    """Return the values of the only row of a table."""
    row: tuple[Any, ...] = model.objects.values_list(*fields).get()
    return row


def test_the_migration_to_one_lease_keeps_data_in_both_directions(migrate: Migrate) -> None:
    now = timezone.now()
    state = {"crc32": 1, "plain_size": 2}
    old = migrate(BEFORE)
    supplier = old("exports", "Supplier").objects.create(
        name="carol", most_running=3, most_queued=40
    )
    request = old("exports", "FileRequest").objects.create(
        supplier=supplier, start=START, end=END, turn_at=now, attempts=1
    )
    old("exports", "ExportPart").objects.create(
        request=request, number=0, start=START, end=END, record_count=2, attempts=2,
        state="written", path="x", size=1, note=state,
    )  # fmt: skip
    delivery = old("exports", "Delivery").objects.create(
        request=request, kind="push", tries=4, leased_until=now
    )
    old("exports", "DeliveryAttempt").objects.create(delivery=delivery, number=4, target="x")

    new = migrate(AFTER)
    assert values(new("exports", "Supplier"), "max_running", "max_queued") == (3, 40)
    assert values(new("exports", "FileRequest"), "priority_at", "attempts") == (now, 1)
    part = values(new("exports", "ExportPart"), "format_state", "attempts", "state")
    assert part == (state, 2, "written")
    assert values(new("exports", "Delivery"), "attempts", "leased_until") == (4, now)
    assert values(new("exports", "Delivery"), "attempt_log__number") == (4,)

    old = migrate(BEFORE)
    assert values(old("exports", "Supplier"), "most_running", "most_queued") == (3, 40)
    assert values(old("exports", "FileRequest"), "turn_at", "attempts") == (now, 1)
    assert values(old("exports", "ExportPart"), "note", "attempts") == (state, 2)
    assert values(old("exports", "Delivery"), "tries", "attempts__number") == (4, 4)
