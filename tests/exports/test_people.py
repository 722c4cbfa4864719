"""A staff user cannot belong to a supplier."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.checks.registry import registry
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from exports.checks import staff_belong_to_no_supplier
from exports.models import Supplier, SupplierPerson

MESSAGE = "A staff user cannot belong to a supplier."
FORM: dict[str, Any] = {
    "username": "ann",
    "is_active": "on",
    "supplier_person-TOTAL_FORMS": 1,
    "supplier_person-INITIAL_FORMS": 0,
}


@pytest.fixture
def ann(db: None) -> User:
    """A user who is not staff."""
    return User.objects.create_user("ann")


@pytest.fixture
def administrator(client: Client, db: None) -> Client:
    """The browser of a user with the role administrator."""
    user = User.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))
    client.force_login(user)
    return client


@pytest.mark.parametrize("right", ["is_staff", "is_superuser"])
def test_staff_get_no_supplier(ann: User, alice: Supplier, right: str) -> None:
    setattr(ann, right, True)
    ann.save()
    with pytest.raises(ValidationError, match=MESSAGE):
        SupplierPerson.objects.create(user=ann, supplier=alice)
    assert not SupplierPerson.objects.exists()


@pytest.mark.parametrize("right", ["is_staff", "is_superuser"])
def test_a_supplier_user_does_not_become_staff(ann: User, alice: Supplier, right: str) -> None:
    SupplierPerson.objects.create(user=ann, supplier=alice)
    setattr(ann, right, True)
    for fields in (None, [right]):
        with pytest.raises(ValidationError, match=MESSAGE):
            ann.save(update_fields=fields)
    ann.save(update_fields=["last_login"])
    ann.refresh_from_db()
    assert not getattr(ann, right)


def test_a_user_of_an_earlier_version_who_is_both_changes_the_password(
    ann: User, alice: Supplier
) -> None:
    SupplierPerson.objects.create(user=ann, supplier=alice)
    User.objects.update(is_staff=True)
    ann.refresh_from_db()
    ann.set_password("correct horse")
    ann.save()
    assert User.objects.get().check_password("correct horse")


def test_users_of_an_earlier_version_who_are_both_are_a_warning(
    ann: User, alice: Supplier, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    SupplierPerson.objects.create(user=ann, supplier=alice)
    assert staff_belong_to_no_supplier(databases=["default"]) == []
    User.objects.update(is_staff=True)
    [warning] = staff_belong_to_no_supplier(databases=["default"])
    assert (warning.id, warning.is_serious()) == ("headend.W003", False)
    assert warning.msg == "The user ann belongs to the supplier alice, and is also staff."
    User.objects.update(is_staff=False, is_superuser=True)
    assert len(staff_belong_to_no_supplier(databases=["default"])) == 1
    with django_assert_num_queries(0):
        assert staff_belong_to_no_supplier(databases=None) == []


def test_a_database_without_tables_has_no_such_user(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    assert staff_belong_to_no_supplier(databases=["default"]) == []
    assert staff_belong_to_no_supplier in registry.registered_checks


def test_the_admin_does_not_make_a_supplier_user_staff(
    administrator: Client, ann: User, alice: Supplier
) -> None:
    person = SupplierPerson.objects.create(user=ann, supplier=alice)
    form = FORM | {
        "is_staff": "on",
        "supplier_person-INITIAL_FORMS": 1,
        "supplier_person-0-id": person.pk,
        "supplier_person-0-user": ann.pk,
        "supplier_person-0-supplier": alice.pk,
    }
    answer = administrator.post(f"/admin/auth/user/{ann.pk}/change/", form)
    assert (answer.status_code, MESSAGE in answer.content.decode()) == (200, True)
    ann.refresh_from_db()
    assert not ann.is_staff


def test_the_admin_gives_staff_no_supplier(
    administrator: Client, ann: User, alice: Supplier
) -> None:
    form = FORM | {"is_staff": "on", "supplier_person-0-supplier": alice.pk}
    answer = administrator.post(f"/admin/auth/user/{ann.pk}/change/", form)
    assert (answer.status_code, MESSAGE in answer.content.decode()) == (200, True)
    User.objects.filter(pk=ann.pk).update(is_staff=True)
    form = {"user": ann.pk, "supplier": alice.pk}
    answer = administrator.post("/admin/exports/supplierperson/add/", form)
    assert (answer.status_code, MESSAGE in answer.content.decode()) == (200, True)
    assert not SupplierPerson.objects.exists()


def test_the_admin_turns_staff_into_a_supplier_user_on_one_page(
    administrator: Client, ann: User, alice: Supplier
) -> None:
    User.objects.filter(pk=ann.pk).update(is_staff=True)
    form = FORM | {"supplier_person-0-supplier": alice.pk}
    assert administrator.post(f"/admin/auth/user/{ann.pk}/change/", form).status_code == 302
    assert SupplierPerson.objects.get().user == ann
