"""Two suppliers with a row in every table, and texts by which a test recognises what belongs to which."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from exports.delivery.transitions import claim
from exports.models import (
    Delivery,
    DeliveryKind,
    FileFetch,
    FileRemoval,
    FileRequest,
    PushTarget,
    SftpSession,
    Supplier,
    SupplierPerson,
    Webhook,
)
from exports.suppliers import hand_over
from readings.models import ClassEnergy, IntervalTotals, LiveArrival, Meter
from tests.suppliers import PUBLIC_KEY, START, create_api_key, store_completed

METER = "0001b33e-0898-33a6-ac1d-82b59b904034"


@dataclass(frozen=True)
class Stored:
    """A supplier, its user, an API key, its completed file request and a delivery of the file."""

    supplier: Supplier
    user: User
    api_key: str
    request: FileRequest
    delivery: Delivery

    @property
    def marks(self) -> list[str]:
        """Texts that only this supplier's data contains."""
        return [
            self.supplier.name, self.user.username, self.api_key, self.api_key[:8],
            str(self.request.pk), str(self.delivery.pk), f"peer-of-{self.supplier.name}",
        ]  # fmt: skip


def store_supplier(name: str) -> Stored:
    """Store a supplier with one row in every table that has a supplier, and return it."""
    now, peer = timezone.now(), f"peer-of-{name}"
    supplier = Supplier.objects.create(name=name)
    user = User.objects.create_user(f"user-of-{name}")
    SupplierPerson.objects.create(supplier=supplier, user=user)
    request = store_completed(supplier)
    delivery = Delivery.objects.create(request=request, kind=DeliveryKind.PUSH)
    claim(delivery.pk)
    hand_over.add_ssh_key(supplier, PUBLIC_KEY, name)
    FileFetch.objects.create(
        request=request, way="sftp", who=name, peer=peer, started_at=now, ended_at=now
    )
    FileRemoval.objects.create(request=request, who=name, peer=peer, at=now)
    SftpSession.objects.create(supplier=supplier, who=name, peer=peer, seen_at=now)
    # At loopback addresses: the page of the supplier can send a test event to both.
    PushTarget.objects.create(
        supplier=supplier, host="127.0.0.1", port=9, user=name, host_key=PUBLIC_KEY
    )
    Webhook.objects.create(supplier=supplier, url=f"https://127.0.0.1:9/{name}")
    return Stored(supplier, user, create_api_key(supplier), request, delivery)


def store_fleet() -> list[Model]:
    """Store one row in each table of the readings app."""
    return [
        IntervalTotals.objects.create(time=START, readings=1, late=0, kw=1.0),
        ClassEnergy.objects.create(
            hour=START, customer_class="shop", readings=1, import_kwh=1.0, export_kwh=0.0
        ),
        LiveArrival.objects.create(at=START, readings=1),
        Meter.objects.create(device_id=METER, last_day=START.date()),
    ]
