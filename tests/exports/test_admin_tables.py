"""The admin: every model has a list, history is read-only, and users get only the permissions of their role."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from exports.delivery.transitions import claim
from exports.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    ExportPart,
    FileFetch,
    FileRemoval,
    FileRequest,
    FileVerification,
    MeterList,
    PushTarget,
    SftpSession,
    Supplier,
    SupplierPerson,
    Webhook,
)
from exports.suppliers import hand_over
from readings.models import (
    AwaitedInterval,
    ClassEnergy,
    DescribedTable,
    IntervalTotals,
    LiveArrival,
    Meter,
    SimulatedFleet,
)
from tests.suppliers import PUBLIC_KEY, START, create_api_key


@pytest.fixture
def a_row_of_each(completed: FileRequest, alice: Supplier, admin_user: User) -> None:
    """At least one row in every table of the project."""
    now = timezone.now()
    create_api_key(alice)
    hand_over.create_key_pair(alice)
    delivery = Delivery.objects.create(request=completed, kind=DeliveryKind.PUSH)
    claim(delivery.pk)
    who = {"who": "SHA256:x", "peer": "::1", "bytes_sent": 439_724}
    FileFetch.objects.create(request=completed, way="sftp", started_at=now, ended_at=now, **who)
    FileRemoval.objects.create(request=completed, who="SHA256:x", peer="::1", at=now)
    FileVerification.objects.create(pk=1)
    MeterList.of(["a", "b"])
    SftpSession.objects.create(supplier=alice, seen_at=now, **who)
    user = User.objects.create_user("ann")
    SupplierPerson.objects.create(supplier=alice, user=user)
    PushTarget.objects.create(supplier=alice, host="files.example", user="in", host_key=PUBLIC_KEY)
    Webhook.objects.create(supplier=alice, url="https://example.com/")
    IntervalTotals.objects.create(time=START, readings=1, late=0, kw=1.0)
    ClassEnergy.objects.create(
        hour=START, customer_class="shop", readings=1, import_kwh=1.0, export_kwh=0.0
    )
    LiveArrival.objects.create(at=START, readings=1)
    AwaitedInterval.objects.create(time=START)
    DescribedTable.objects.create(pk=1, table_id="1")
    SimulatedFleet.objects.get_or_create(pk=1, defaults={"profile": "mixed"})
    Meter.objects.create(device_id="0001b33e-0898-33a6-ac1d-82b59b904034", last_day=START.date())


def project_models() -> list[type[Model]]:
    return [
        model
        for app in ("exports", "readings", "auth")
        for model in apps.get_app_config(app).get_models()
        if model._meta.label != "auth.Permission"
    ]


def test_every_model_has_a_list_and_a_page(operator: Client, a_row_of_each: None) -> None:
    for model in project_models():
        row = model._default_manager.first()
        if row is None:
            assert model._meta.label == "auth.Group"
            continue
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert operator.get(path).status_code == 200, path
        assert operator.get(f"{path}?q=x").status_code == 200, path
        assert operator.get(f"{path}{row.pk}/change/").status_code == 200, path


def test_lists_show_sent_bytes_with_a_unit(operator: Client, a_row_of_each: None) -> None:
    for path in ("/admin/exports/sftpsession/", "/admin/exports/filefetch/"):
        assert "439.7\xa0kB" in operator.get(path).content.decode(), path


def test_history_is_read_only(operator: Client, a_row_of_each: None) -> None:
    for model in (
        FileRequest, ExportPart, Delivery, DeliveryAttempt, FileFetch, FileRemoval,
        FileVerification, MeterList, SftpSession, LiveArrival, AwaitedInterval, DescribedTable,
        SimulatedFleet, IntervalTotals, ClassEnergy, Meter,
    ):  # fmt: skip
        row = model._default_manager.first()
        assert row is not None
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert operator.get(f"{path}add/").status_code == 403, path
        assert operator.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403, path
        assert operator.post(f"{path}{row.pk}/change/", {}).status_code == 403, path


def test_the_admin_and_the_portal_link_to_each_other(operator: Client, a_row_of_each: None) -> None:
    request = FileRequest.objects.get()
    for path, link in (
        (f"/admin/exports/filerequest/{request.pk}/change/", f'href="/requests/{request.pk}/"'),
        (f"/admin/exports/supplier/{request.supplier_id}/change/", 'href="/suppliers/alice/"'),
        ("/admin/exports/supplier/", 'href="/requests/?supplier=alice"'),
        ("/admin/exports/exportpart/", f'href="/requests/{request.pk}/"'),
        ("/admin/readings/intervaltotals/", 'href="/fleet/?start=2023-02-27&amp;end='),
        ("/admin/", 'href="/deliveries/"'),
        (f"/requests/{request.pk}/", f'href="/admin/exports/filerequest/{request.pk}/change/"'),
        ("/suppliers/alice/", f'href="/admin/exports/supplier/{request.supplier_id}/change/"'),
        ("/deliveries/", 'href="/admin/exports/sftpsession/"'),
    ):
        assert link in operator.get(path).content.decode(), (path, link)


# --- users -------------------------------------------------------------------------------------
@pytest.fixture
def administrator(client: Client, django_user_model: type[User]) -> Client:
    """A browser of a user with the role administrator who is not a superuser."""
    user = django_user_model.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))
    client.force_login(user)
    return client


def test_a_supplier_user_is_added_on_one_page(administrator: Client, alice: Supplier) -> None:
    path = f"/admin/auth/user/add/?supplier={alice.pk}"
    assert (
        f'<option value="{alice.pk}" selected>alice</option>'
        in administrator.get(path).content.decode()
    )
    administrator.post(
        path,
        {
            "username": "ann", "usable_password": "true",
            "password1": "correct horse", "password2": "correct horse",
            "supplier_person-TOTAL_FORMS": 1, "supplier_person-INITIAL_FORMS": 0,
            "supplier_person-0-supplier": alice.pk,
        },
    )  # fmt: skip
    membership = SupplierPerson.objects.get()
    added = membership.user
    assert (added.username, membership.supplier, added.is_staff) == ("ann", alice, False)
    listed = administrator.get("/admin/auth/user/").content.decode()
    assert '<td class="field-supplier">alice</td>' in listed


def test_an_administrator_cannot_make_or_change_a_superuser(
    administrator: Client, django_user_model: type[User]
) -> None:
    ada = django_user_model.objects.get(username="ada")
    page = administrator.get(f"/admin/auth/user/{ada.pk}/change/").content.decode()
    assert 'name="is_superuser"' not in page
    assert 'name="user_permissions"' not in page
    root = django_user_model.objects.create_superuser("root")
    form = {"password1": "correct horse", "password2": "correct horse"}
    assert administrator.post(f"/admin/auth/user/{root.pk}/password/", form).status_code == 403
    assert (
        administrator.post(f"/admin/auth/user/{root.pk}/delete/", {"post": "yes"}).status_code
        == 403
    )
    assert administrator.post(f"/admin/auth/user/{root.pk}/change/", {}).status_code == 403
