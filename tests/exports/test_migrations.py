"""Migrations can be reversed. Those that change tables with data keep the data, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations import AddField, CreateModel
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from exports.models import FileRequest, MeterList, PushTarget, Status, Supplier
from readings.models import IntervalTotals, Meter
from tests.suppliers import END, PUBLIC_KEY, START

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


def added_later() -> Iterator[Any]:
    """Yield the columns that must have a value and were added to tables that existed before."""
    loader = MigrationLoader(None)
    for (app, _), migration in loader.disk_migrations.items():
        if app not in ("exports", "readings"):
            continue
        created = {
            each.name_lower for each in migration.operations if isinstance(each, CreateModel)
        }
        for operation in migration.operations:
            if isinstance(operation, AddField) and operation.model_name_lower not in created:
                model = apps.get_model(app, operation.model_name)
                if not operation.field.null:
                    yield model._meta.get_field(operation.name)


def insert(cursor: Any, row: Any, *, without: set[str]) -> None:
    """Insert a row as a process of an earlier version does, which does not know some of its columns."""
    fields = [each for each in row._meta.concrete_fields if each.name not in without]
    names = ", ".join(connection.ops.quote_name(each.column) for each in fields)
    values = [each.get_db_prep_save(each.pre_save(row, add=True), connection) for each in fields]
    places = ", ".join(["%s"] * len(fields))
    table = connection.ops.quote_name(row._meta.db_table)
    cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)


@pytest.mark.django_db
def test_columns_that_were_added_later_have_defaults_in_the_database() -> None:
    supplier = Supplier(id=1, name="carol")
    rows = [
        supplier,
        FileRequest(supplier=supplier, start=START, end=END),
        PushTarget(id=1, supplier=supplier, host="x", user="x", host_key=PUBLIC_KEY),
        IntervalTotals(id=1, time=START, readings=1, late=0, kw=1.0),
        Meter(id=1, device_id="x", last_day=START.date()),
    ]
    columns: dict[str, set[str]] = {}
    for field in added_later():
        columns.setdefault(field.model.__name__, set()).add(field.name)
    assert set(columns) == {type(row).__name__ for row in rows}
    with connection.cursor() as cursor:
        for row in rows:
            new = columns[type(row).__name__]
            insert(cursor, row, without=new)
            stored = type(row)._default_manager.get()
            assert {name: getattr(stored, name) for name in new} == {
                name: getattr(row, name) for name in new
            }


def test_all_migrations_can_be_reversed_and_that_to_one_lease_keeps_data_in_both_directions(
    migrate: Migrate,
) -> None:
    """One test, because to reverse all migrations and to apply them again takes seconds of processor time."""
    for app in ("exports", "readings"):
        call_command("migrate", app, "zero", verbosity=0)

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


@pytest.mark.django_db(transaction=True)
def test_a_meter_keeps_its_last_day_and_the_previous_version_has_no_long_ids() -> None:
    Meter.objects.create(device_id="x" * 37, last_day=START.date(), last_time=START)
    Meter.objects.create(device_id="y" * 36, last_day=START.date(), last_time=START)
    call_command("migrate", "readings", "0006", verbosity=0)
    call_command("migrate", verbosity=0)
    midnight = START.replace(hour=0, minute=0)
    assert values(Meter, "device_id", "last_day", "last_time") == ("y" * 36, START.date(), midnight)


@pytest.mark.django_db(transaction=True)
def test_the_previous_version_does_not_run_a_request_for_some_meters_as_one_for_all() -> None:
    supplier = Supplier.objects.create(name="carol")
    meters = MeterList.of(["a", "b"])
    spec = {"supplier": supplier, "start": START, "end": END}
    some = FileRequest.objects.create(**spec, meter_list=meters, meter_count=2)
    late = FileRequest.objects.create(**spec, arrived_after=START)
    energy = FileRequest.objects.create(**spec, columns="time,device_id,kwh")
    everything = FileRequest.objects.create(**spec)
    call_command("migrate", "exports", "0015", verbosity=0)
    call_command("migrate", verbosity=0)
    statuses = dict(FileRequest.objects.values_list("pk", "status"))
    assert statuses == dict.fromkeys((some.pk, late.pk, energy.pk), Status.FAILED) | {
        everything.pk: Status.QUEUED
    }
