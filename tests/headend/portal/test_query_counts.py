"""Every page needs few database queries, and not more of them when there are more rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

from exports.models import (
    ApiKey,
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    ExportPart,
    FetchWay,
    FileFetch,
    FileRemoval,
    FileRequest,
    PushTarget,
    SftpSession,
    SshKey,
    Supplier,
    SupplierPerson,
    Webhook,
)
from readings.models import IntervalTotals, LiveArrival
from readings.simulation.arrivals import readings_for
from tests.headend.portal.conftest import FIRST_METER, FLEET, METERS
from tests.readings.new_repository import create_repository

pytestmark = pytest.mark.django_db

MAX_QUERIES = 20
"""The limit for every page. The admin's page of a supplier comes closest."""
NOW = timezone.now().replace(minute=0, second=0, microsecond=0)
FIRST_REQUEST = "00000000-0000-0000-0000-000000000001"
# The names of the tests contain these paths, so dates are filled in later: names must not change at midnight.
PAGES = [
    "/",
    "/login/",
    "/password/",
    "/fleet/",
    "/fleet/?start={month_ago}&end={today}",
    f"/fleet/meters/?q={FIRST_METER[:1]}",
    f"/fleet/meters/{FIRST_METER}/",
    "/requests/",
    "/requests/?supplier=supplier-0&status=completed",
    f"/requests/{FIRST_REQUEST}/",
    "/requests/new/",
    "/requests/estimate/?supplier=supplier-0&format=csv&start={today}&end={today}",
    "/deliveries/",
    "/suppliers/",
    "/suppliers/supplier-0/",
    "/new-supplier/",
    *(
        f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for model in admin.site._registry
    ),
    "/admin/",
    "/admin/auth/user/add/",
    "/admin/auth/group/{role}/change/",
    "/admin/exports/supplier/add/",
    "/admin/exports/supplier/1/change/",
    f"/admin/exports/filerequest/{FIRST_REQUEST}/change/",
]


def create_rows(rows: int) -> None:
    """Create suppliers until there are ``rows``; the first one gets as many rows of every other kind."""
    for number in range(Supplier.objects.count(), rows):
        supplier = Supplier.objects.create(pk=number + 1, name=f"supplier-{number}")
        PushTarget.objects.create(
            supplier=supplier, host="x.example", user="in", folder="/", host_key="ssh-ed25519 AAAA"
        )
        Webhook.objects.create(supplier=supplier, url="https://example.com/")
        _create_requests(supplier, 1)
        _create_users_and_keys(supplier, 1, number)
    first = Supplier.objects.get(pk=1)
    _create_requests(first, rows)
    _create_users_and_keys(first, rows, 1000 * rows)
    _create_parts_and_deliveries(FileRequest.objects.get(pk=FIRST_REQUEST), rows)
    for minutes in range(rows):
        at = NOW - timedelta(minutes=5 * minutes)
        IntervalTotals.objects.get_or_create(
            time=at, defaults={"readings": METERS, "late": 1, "kw": 1.0}
        )
        LiveArrival.objects.get_or_create(at=at, defaults={"readings": METERS})


def _create_requests(supplier: Supplier, count: int) -> None:
    for _ in range(count):
        is_first = not FileRequest.objects.filter(pk=FIRST_REQUEST).exists()
        request = FileRequest(supplier=supplier, start=NOW - timedelta(hours=1), end=NOW)
        if is_first:
            request.pk = uuid.UUID(FIRST_REQUEST)
        request.status, request.record_count, request.size = "completed", 10, 10
        request.location, request.sha256 = f"{request.pk}/run-1-part-r-00000.gz", "0" * 64
        request.submitted_at = request.running_at = request.finished_at = NOW
        request.expired_at = None if is_first else NOW
        request.save()
        if not is_first:
            FileRemoval.objects.create(request=request, who="SHA256:x", peer="192.0.2.1", at=NOW)
        _create_parts_and_deliveries(request, 1)


def _create_parts_and_deliveries(request: FileRequest, count: int) -> None:
    for _ in range(count):
        ExportPart.objects.create(
            request=request, number=request.parts.count(), start=NOW, end=NOW, record_count=1
        )
        FileFetch.objects.create(
            request=request, way=FetchWay.SFTP, who="SHA256:x", peer="192.0.2.1", started_at=NOW,
            ended_at=NOW,
        )  # fmt: skip
        SftpSession.objects.create(
            supplier=request.supplier, who="SHA256:x", peer="192.0.2.1", seen_at=timezone.now()
        )
    for kind in DeliveryKind:
        delivery, _ = Delivery.objects.get_or_create(request=request, kind=kind)
        for _ in range(count):
            DeliveryAttempt.objects.create(
                delivery=delivery, number=delivery.attempt_log.count() + 1, target="x", outcome="y"
            )


def _create_users_and_keys(supplier: Supplier, count: int, first: int) -> None:
    for number in range(first, first + count):
        name = f"{supplier.name}-{number}"
        staff = User.objects.create_user(f"staff-{name}", is_staff=True)
        staff.groups.set(Group.objects.all())
        user = User.objects.create_user(name)
        user.groups.set(Group.objects.all())
        SupplierPerson.objects.create(user=user, supplier=supplier)
        ApiKey.objects.create(supplier=supplier, prefix=f"hek_{number}", digest=name)
        SshKey.objects.create(supplier=supplier, public_key=name, fingerprint=name)


@dataclass(frozen=True)
class Measured:
    """The status codes of a page, and its number of queries with few rows and with many."""

    statuses: set[int]
    few: int
    many: int


@pytest.fixture(scope="module")
def measured(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Measured]]:
    """Get every page with few rows, then with many.

    All tests share the rows, because creating them takes longer than getting the pages.
    """
    url = f"delta://{tmp_path_factory.mktemp('queries') / 'readings'}"
    with (
        django_db_blocker.unblock(),
        override_settings(READINGS_URL=url, SIMULATION_DEVICES=METERS),
        transaction.atomic(),
    ):
        # An interval that has readings, so that the search finds a meter.
        create_repository(url).write(readings_for(FLEET, NOW))
        operator = User.objects.create_superuser("operator")
        create_rows(2)
        few = {page: get(operator, page) for page in PAGES}
        create_rows(9)
        many = {page: get(operator, page) for page in PAGES}
        yield {
            page: Measured({few[page][0], many[page][0]}, few[page][1], many[page][1])
            for page in PAGES
        }
        transaction.set_rollback(True)


def get(operator: User, page: str) -> tuple[int, int]:
    """Return the status code of a page and how many queries it needs."""
    browser = Client()
    if page != "/login/":
        browser.force_login(operator)
    path = page.format(
        month_ago=f"{NOW - timedelta(days=30):%Y-%m-%d}",
        today=f"{NOW:%Y-%m-%d}",
        # A test that empties the database makes the roles again, with other numbers.
        role=Group.objects.get(name="viewer").pk,
    )
    # So that a page does not need fewer queries because of the page before it.
    ContentType.objects.clear_cache()
    with CaptureQueriesContext(connection) as queries:
        status = browser.get(path).status_code
    return status, len(queries)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_needs_no_more_queries_with_more_rows(
    measured: dict[str, Measured], page: str
) -> None:
    assert measured[page].statuses == {200}
    assert measured[page].many <= measured[page].few <= MAX_QUERIES
