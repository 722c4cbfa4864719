"""The admin checks filters, selections and preselected rows that Django leaves to the database."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.test import Client
from django.utils.text import capfirst

from exports.models import Supplier

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "query",
    [
        "time__year=9999",
        "time__year=9999&time__month=12",
        "time__year=9999&time__month=12&time__day=31",
        "time__year=99999999999",
        "time__year=0",
    ],
)
def test_a_year_that_is_out_of_range_leads_back_to_the_list(
    admin_client: Client, query: str
) -> None:
    answer = admin_client.get(f"/admin/readings/intervaltotals/?{query}", follow=True)
    assert answer.status_code == 200
    assert answer.request["QUERY_STRING"] == "e=1"


def test_another_year_filters_the_list(admin_client: Client) -> None:
    answer = admin_client.get("/admin/readings/intervaltotals/?time__year=2023")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "exports/supplier/?created_at__year=0",
        "auth/user/?date_joined__year=99999999999999999999",
    ],
)
def test_a_filter_that_the_database_cannot_compute_leads_back_to_the_list(
    admin_client: Client, path: str
) -> None:
    answer = admin_client.get(f"/admin/{path}", follow=True)
    assert answer.status_code == 200
    assert answer.request["QUERY_STRING"] == "e=1"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("exports/supplier/", "pk__in=9999999999999999999999999"),
        ("axes/accessattempt/", "pk__in=9223372036854775808"),
    ],
)
def test_a_number_of_more_than_64_bits_leads_back_to_the_list_or_finds_nothing(
    admin_client: Client, path: str, query: str, *, on_servers: bool
) -> None:
    answer = admin_client.get(f"/admin/{path}?{query}", follow=True)
    assert answer.status_code == 200
    # PostgreSQL compares with any number. SQLite does not.
    assert answer.request["QUERY_STRING"] == (query if on_servers else "e=1")


def test_an_empty_to_field_means_the_primary_key(admin_client: Client) -> None:
    supplier = Supplier.objects.create(name="alice")
    for page in ("change", "delete"):
        path = f"/admin/exports/supplier/{supplier.pk}/{page}/?_to_field="
        assert "alice" in admin_client.get(path).content.decode()


@pytest.mark.parametrize("key", ["x", "9" * 25, "1,2", "-"])
def test_an_add_page_ignores_a_preselected_row_that_cannot_exist(
    admin_client: Client, key: str
) -> None:
    query = {"user": key, "supplier": key, "groups": key, "name": "carol"}
    for model in ("exports/supplierperson", "auth/user", "exports/apikey", "exports/webhook"):
        assert admin_client.get(f"/admin/{model}/add/", query).status_code == 200, model
    page = admin_client.get("/admin/exports/supplier/add/", query).content.decode()
    assert 'value="carol"' in page


def test_a_preselected_row_is_selected(admin_client: Client) -> None:
    supplier = Supplier.objects.create(name="alice")
    page = admin_client.get("/admin/exports/apikey/add/", {"supplier": str(supplier.pk)})
    assert f'<option value="{supplier.pk}" selected>alice</option>' in page.content.decode()


@pytest.mark.parametrize("key", ["x", "", "9223372036854775808"])
def test_an_action_with_a_row_that_cannot_exist_changes_nothing(
    admin_client: Client, key: str
) -> None:
    supplier = Supplier.objects.create(name="alice")
    form = {"action": "delete_selected", "_selected_action": [str(supplier.pk), key], "post": "yes"}
    answer = admin_client.post("/admin/exports/supplier/", form, follow=True)
    assert "The selection is not valid. Nothing has been changed." in answer.content.decode()
    assert Supplier.objects.get() == supplier
    form["_selected_action"] = [str(supplier.pk)]
    admin_client.post("/admin/exports/supplier/", form, follow=True)
    assert not Supplier.objects.exists()


def test_the_records_of_logins_have_a_name_that_operators_understand(admin_client: Client) -> None:
    page = admin_client.get("/admin/").content.decode()
    assert "Login attempts" in page
    assert ">Axes<" not in page


def test_labels_write_abbreviations_in_capitals() -> None:
    words = {
        word
        for model in apps.get_models()
        for field in model._meta.fields
        for word in capfirst(field.verbose_name).split()
        if model._meta.app_label in {"exports", "readings"}
    }
    assert not words & {"Api", "Id", "Ip", "Sftp", "Sha256", "Ssh", "Url"}
