"""The scene of the browser tests: days of readings with gaps, suppliers, their files, and failures.

``python -m tests.e2e.scene DAYS`` creates it in the deployment of the environment, before the deployment starts.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from exports.models import FileRequest

METERS = 60
METERS_IN_PICTURES = 300
DAYS = 8
DAYS_IN_PICTURES = 24
PASSWORD = "correct horse battery"
ENVIRONMENT = {
    "SIMULATION_LATE_ARRIVALS": "on",
    "SIMULATION_LATE_PERCENT": "2",
    "SIMULATION_LATE_MINUTES": "120",
    "WEBHOOK_PRIVATE_ADDRESSES": "on",
}
"""The settings of the deployment, except the number of meters."""
VIEWER, ADMINISTRATOR, SUPPLIER_USER = "vera", "ada", "ann"
"""User names."""
SUPPLIERS = ["acme-billing", "gridco", "northwind-mdm"]
FAILURE_REASON = "The export store cannot be written to: No space left on device."
_MISSING_DAY, _PARTIAL_DAY = 7, 5


def days_ago(number: int) -> date:
    """Return a past day in UTC. The days 2 and 3 days ago are complete at every time of day."""
    return datetime.now(UTC).date() - timedelta(days=number)


def main(days: int) -> None:
    """Create the scene with readings of some days, and print the ids that the tests use as JSON."""
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.utils import timezone

    from headend.config.folders import create_folders

    # Before setup, which would write the readings of the last hour if there are none.
    create_folders(settings.FOLDERS)
    call_command("migrate", verbosity=0)
    call_command("store", "create", stdout=io.StringIO())
    now = timezone.now()
    _create_readings(now, days)
    call_command("setup", verbosity=0)
    _create_suppliers()
    _create_users()
    ids = _file_requests(now, days)
    _correct_readings(ids["meter"], now)
    print(json.dumps(ids))  # noqa: T201 (the caller reads the output)


def _create_readings(now: datetime, days: int) -> None:
    from django.core.management import call_command

    from readings.ingest.deployment_fleet import deployment_fleet
    from readings.tasks import update_interval_totals

    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=days)

    def backfill(start: datetime, end: datetime, *options: str) -> None:
        call_command(
            "backfill", "--start", str(start)[:19], "--end", str(end)[:19], *options, verbosity=0
        )

    missing = today - timedelta(days=_MISSING_DAY) + timedelta(hours=6)
    partial = today - timedelta(days=_PARTIAL_DAY) + timedelta(hours=14)
    outage = now - timedelta(hours=7)
    step = timedelta(minutes=5)
    backfill(first, missing - step)
    backfill(missing + timedelta(hours=9), partial - step)
    backfill(
        partial, partial + timedelta(hours=2), "--devices", str(deployment_fleet().devices * 2 // 3)
    )
    backfill(partial + timedelta(hours=2) + step, outage)
    backfill(outage + timedelta(minutes=40), now)
    update_interval_totals()


def _create_suppliers() -> None:
    from exports.credentials import new_private_key, public_key_of
    from exports.models import PushTarget, Supplier, Webhook
    from exports.suppliers import hand_over

    for name in SUPPLIERS:
        supplier = Supplier.objects.create(name=name)
        hand_over.create_api_key(supplier, "production")
        hand_over.add_ssh_key(supplier, public_key_of(new_private_key()), "batch host")
    Supplier.objects.filter(name="gridco").update(max_running=2)
    PushTarget.objects.create(
        supplier=Supplier.objects.get(name="gridco"), host="127.0.0.1", port=9, user="headend",
        host_key=public_key_of(new_private_key()), folder="/inbox", active=False,
    )  # fmt: skip
    Webhook.objects.create(
        supplier=Supplier.objects.get(name="northwind-mdm"),
        url="http://127.0.0.1:9/events", active=False,
    )  # fmt: skip


def _create_users() -> None:
    from django.contrib.auth.hashers import make_password
    from django.contrib.auth.models import Group, User

    from exports.models import Supplier, SupplierPerson

    # One hash for all users: to compute it takes a quarter of a second of processor time.
    password = make_password(PASSWORD)
    for name, role in ((VIEWER, "viewer"), (ADMINISTRATOR, "administrator")):
        user = User.objects.create(username=name, password=password, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
    supplier_user = User.objects.create(username=SUPPLIER_USER, password=password)
    SupplierPerson.objects.create(
        user=supplier_user, supplier=Supplier.objects.get(name="acme-billing")
    )


def _file_requests(now: datetime, days: int) -> dict[str, str]:
    """Create requests for each day except the first, process them in this process, and return the ids for the tests."""
    from exports.file_requests import cancel
    from exports.pipeline import transitions, worker

    for day in range(1, min(days, 14)):
        _create_request(now, "acme-billing", day, 24)
        _create_request(now, "northwind-mdm", day + 0.1, 6, "parquet")
        if day % 3 == 0:
            _create_request(now, "gridco", day + 0.2, 72, "jsonl")
    completed = _create_request(now, "gridco", 0.1, 48)
    of_supplier_user = _create_request(now, "acme-billing", 0.15, 12)
    while worker.run_next_step() is not None:
        pass
    failed = _create_request(now, "northwind-mdm", 0.12, 6)
    transitions.fail(failed.pk, reason=FAILURE_REASON)
    cancel(_create_request(now, "acme-billing", 2.5, 24))
    _move_to_the_past(now)
    _create_deliveries(completed, now)
    return {
        "completed": str(completed.pk), "failed": str(failed.pk),
        "of_supplier_user": str(of_supplier_user.pk), "meter": _meter_id(now),
    }  # fmt: skip


def _create_request(
    now: datetime, supplier: str, days_ago: float, hours: int, file_format: str = "csv"
) -> FileRequest:
    """Queue a request for the hours before a time in the past."""
    from exports.file_requests import FileSpec, accept
    from exports.models import Supplier

    end = (now - timedelta(days=days_ago)).replace(minute=0, second=0, microsecond=0)
    spec = FileSpec(end - timedelta(hours=hours), end - timedelta(microseconds=1), file_format)
    return accept(Supplier.objects.get(name=supplier), spec)


def _move_to_the_past(now: datetime) -> None:
    """Date every request as if it had been created when its window ended; let the two oldest files expire."""
    from exports.models import FileRequest, Status

    for request in FileRequest.objects.all():
        age = now - request.end
        FileRequest.objects.filter(pk=request.pk).update(
            **{
                field: getattr(request, field) - age
                for field in ("queued_at", "submitted_at", "running_at", "finished_at")
                if getattr(request, field) is not None
            }
        )
    oldest = FileRequest.objects.filter(status=Status.COMPLETED).order_by("queued_at")[:2]
    FileRequest.objects.filter(pk__in=oldest.values("pk")).update(expired_at=now, removed_at=now)


def _meter_id(now: datetime) -> str:
    from readings.repositories import repository
    from readings.window import Window

    last_hour = Window(now - timedelta(hours=1), now)
    return str(repository().snapshot().page(last_hour, offset=7, size=1).readings["device_id"][0])


def _correct_readings(meter: str, now: datetime) -> None:
    """Replace three readings that arrived on time by estimated ones, and the first of them once more."""
    import polars as pl

    from readings.repositories import repository
    from readings.window import Window

    # Some readings of the last hours are late, and others have not arrived yet.
    window = Window(now - timedelta(hours=4), now - timedelta(minutes=80), (meter,))
    readings = repository().snapshot().page(window, offset=0, size=50).readings
    stored = readings.filter(pl.col("arrival_time") == pl.col("time")).tail(3)
    for hours, readings in enumerate((stored, stored.head(1)), 1):
        corrected = readings.with_columns(
            arrival_time=pl.col("time") + timedelta(minutes=30 * hours),
            kwh=pl.lit(0.25 * hours),
            quality=pl.lit("estimated"),
        )
        repository().write(corrected, corrections=True)


def _create_deliveries(pushed: FileRequest, now: datetime) -> None:
    """Create a failed push of ``pushed``, and webhooks and downloads of the newest completed requests."""
    from exports.models import DeliveryKind, FileRequest, Status

    refused = "Connection refused."
    _create_delivery(pushed, DeliveryKind.PUSH, [refused] * 3, succeeded=False)
    for request in reversed(FileRequest.objects.filter(status=Status.COMPLETED)[:12]):
        if request.supplier.name == "northwind-mdm":
            outcomes = ["The receiver answered 503.", "The receiver answered 200."]
            _create_delivery(request, DeliveryKind.WEBHOOK, outcomes, succeeded=True)
        else:
            _create_download(request, request.finished_at or now)


def _create_delivery(
    request: FileRequest, kind: str, outcomes: list[str], *, succeeded: bool
) -> None:
    """Create a finished delivery with one attempt per outcome."""
    from exports.delivery import transitions
    from exports.models import Delivery, DeliveryKind

    target = "headend@files.gridco.example:22"
    if kind == DeliveryKind.WEBHOOK:
        target = "https://mdm.northwind.example/headend"
    delivery = Delivery.objects.create(request=request, kind=kind)
    for number, outcome in enumerate(outcomes, 1):
        Delivery.objects.filter(pk=delivery.pk).update(leased_until=None)
        lease = transitions.claim(delivery.pk)
        assert lease is not None
        transitions.record_target(lease, target=target)
        if number < len(outcomes):
            transitions.release(lease, outcome)
        elif succeeded:
            transitions.succeed(lease, outcome)
        else:
            transitions.fail(lease, outcome)


def _create_download(request: FileRequest, finished_at: datetime) -> None:
    """Create an SFTP session that downloads the file soon after it is finished."""
    from exports.models import ApiKey, FetchWay, FileFetch, SftpSession, SshKey

    key = request.supplier.ssh_keys.get()
    began_at = finished_at + timedelta(seconds=39)
    SshKey.objects.filter(pk=key.pk).update(last_used_at=began_at)
    ApiKey.objects.filter(supplier=request.supplier).update(last_used_at=request.queued_at)
    FileFetch.objects.create(
        request=request, way=FetchWay.SFTP, who=key.fingerprint, peer="192.0.2.17",
        bytes_sent=request.size or 0, started_at=began_at + timedelta(seconds=1),
        ended_at=began_at + timedelta(seconds=2),
    )  # fmt: skip
    session = SftpSession.objects.create(
        supplier=request.supplier, who=key.fingerprint, peer="192.0.2.17",
        bytes_sent=request.size or 0, seen_at=began_at + timedelta(seconds=5),
        ended_at=began_at + timedelta(seconds=5),
    )  # fmt: skip
    SftpSession.objects.filter(pk=session.pk).update(began_at=began_at)


if __name__ == "__main__":
    main(int(sys.argv[1]))
