"""Every URL for every role with poisoned parameters: no 5xx, and nothing that belongs to another supplier."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpResponse
from django.test import Client

from tests.every_url import POISON, ParameterNames, Route, every_route
from tests.two_suppliers import METER, Stored, store_fleet, store_supplier

pytestmark = [
    pytest.mark.django_db,
    # The repository and the readiness probes use no process, but a new key pair does.
    pytest.mark.usefixtures("readings", "exports_folder", "starts_processes"),
]

ADMIN_PARAMETERS = [
    "o", "p", "e", "q", "all", "_to_field", "_popup", "_changelist_filters", "_facets", "id", "pk__in", "id__in",
    "app_label", "model_name", "field_name", "term", "user", "supplier", "groups", "next",
]  # fmt: skip
"""Parameters of the admin that Django reads only if they are present."""
LOOKUPS = ["__in", "__gte", "__year"]
TEXTS = {"other": "marigold", "own": "primrose"}
"""The names of the two suppliers. No page contains these words by itself."""


class Sweep:
    """Calls every URL as one user. Changes by a call are undone."""

    def __init__(self, stored: dict[str, Stored], user: User | None) -> None:
        self.other = stored["other"]
        self.client = Client(raise_request_exception=False)
        if user is not None:
            self.client.force_login(user)

    def call(self, path: str, data: dict[str, Any], *, method: str = "get") -> HttpResponse:
        """Return the answer. Fails if a shared cache may store it, or if it is a 5xx. Probes may be both."""
        with transaction.atomic():
            answer: HttpResponse = getattr(self.client, method)(path, data)
            transaction.set_rollback(True)
        if path != "/health/ready":
            assert answer.status_code < 500, (method, path, data, answer.content[:300])
        if path != "/health/live":
            assert "private" in answer.headers.get("Cache-Control", ""), path
        return answer

    def paths(self) -> Iterator[tuple[Route, str]]:
        """Yield every route, and its path with values of the other supplier's rows."""
        for route in every_route():
            if "logout" not in route.path:
                yield route, route.with_values(self._values(route))

    def _values(self, route: Route) -> dict[str, Any]:
        is_delivery = route.path.startswith("deliveries/")
        values = {
            "device_id": METER, "pk": self.other.delivery.pk if is_delivery else self.other.request.pk,
            "request_id": self.other.request.pk, "content_type_id": 1, "id": self.other.user.pk, "object_id": 1,
            "name": self.other.supplier.name, "app_label": "exports", "url": "x",
        }  # fmt: skip
        if route.path.startswith("files/"):
            values["name"] = self.other.request.location.rpartition("/")[2]
        model = model_of(route)
        if model is not None:
            row = model._default_manager.last()
            values["object_id"] = quote(row.pk if row else 1)
        return values


def model_of(route: Route) -> Any:
    """Return the model of a route of the admin, or None."""
    parts = route.path.split("/")
    is_of_model = len(parts) > 3 and parts[0] == "admin" and parts[1] in apps.app_configs
    return apps.get_model(parts[1], parts[2]) if is_of_model else None


@pytest.fixture
def stored(db: None) -> dict[str, Stored]:
    """Two suppliers with all their rows."""
    store_fleet()
    return {which: store_supplier(name) for which, name in TEXTS.items()}


def staff(*roles: str, **fields: Any) -> User:
    """Create a staff user with roles."""
    user = User.objects.create_user("somebody", is_staff=True, **fields)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def test_without_a_login_nothing_of_a_supplier_is_shown(stored: dict[str, Stored]) -> None:
    assert_sees_nothing(Sweep(stored, None), stored["other"], stored["own"])


def test_a_supplier_user_sees_nothing_of_another_supplier(stored: dict[str, Stored]) -> None:
    sweep = Sweep(stored, stored["own"].user)
    assert_sees_nothing(sweep, stored["other"])
    assert stored["own"].request.location in sweep.call("/requests/", {}).content.decode()


def test_a_staff_user_without_a_role_sees_nothing_of_a_supplier(stored: dict[str, Stored]) -> None:
    assert_sees_nothing(Sweep(stored, staff()), stored["other"], stored["own"])


def assert_sees_nothing(sweep: Sweep, *suppliers: Stored) -> None:
    """Call every URL, also with a poisoned query, and look for the marks of the suppliers."""
    marks = [mark for supplier in suppliers for mark in supplier.marks]
    queries = poisoned_queries(["page", "q", "start", "end", "supplier", "status", "request_id"])
    for route, path in sweep.paths():
        calls = [(next(queries), "get")]
        if not route.path.startswith("admin/"):
            calls += [({"supplier": sweep.other.supplier.name}, "get"), (next(queries), "post")]
        for query, method in calls:
            # A page may repeat its own address, such as a redirect to the login page.
            body = text_of(sweep.call(path, query, method=method)).replace(path, "")
            found = [mark for mark in marks if mark in body and mark not in query.values()]
            assert found == [], (path, query)


def text_of(answer: HttpResponse) -> str:
    """Return the body, also that of a download."""
    return answer.getvalue().decode(errors="replace")


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_no_role_gets_a_5xx_for_poisoned_parameters(stored: dict[str, Stored], role: str) -> None:
    sweep = Sweep(stored, staff(role))
    queries = poisoned_queries(["page", "q", "start", "end", "supplier", *ADMIN_PARAMETERS])
    shown = "".join(text_of(sweep.call(path, next(queries))) for _, path in sweep.paths())
    # These users may see it: the marks that other tests look for are those of real pages.
    not_secret = [mark for mark in stored["other"].marks if mark != stored["other"].api_key]
    assert [mark for mark in not_secret if mark not in shown] == []


def test_a_superuser_gets_no_5xx_for_poisoned_parameters(
    stored: dict[str, Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweep(stored, staff(is_superuser=True))
    read = ParameterNames(monkeypatch)
    for route, path in sweep.paths():
        sweep.call(path, {})
        names = [*read.take(), *(ADMIN_PARAMETERS if route.path.startswith("admin/") else ())]
        queries = poisoned_queries(names, first=len(path))
        sweep.call(path, next(queries))
        if not route.path.startswith("admin/"):
            sweep.call(path, next(queries))
            for method in ("put", "delete", "options", "trace"):
                sweep.call(path, {}, method=method)
        read.take()
        sweep.call(path, {}, method="post")
        sweep.call(path, next(poisoned_queries(read.take(), first=len(path))), method="post")


def poisoned_queries(names: list[str], first: int = 0) -> Iterator[dict[str, str]]:
    """Yield queries in which each parameter has a poisoned value: each time, another one."""
    for turn in count(first):
        yield {name: POISON[(turn + n) % len(POISON)] for n, name in enumerate(names)}


def test_a_wrong_filter_of_a_list_of_the_admin_is_no_5xx(stored: dict[str, Stored]) -> None:
    """Each one alone: a wrong parameter hides the others."""
    sweep = Sweep(stored, staff(is_superuser=True))
    huge = "9" * 25
    for model, model_admin in admin.site._registry.items():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        filters = ["pk__in", "id__in", "pk", "o", "p", "q", "_to_field", *filters_of(model_admin)]
        for name in filters:
            answer = sweep.call(path, {name: huge})
            assert answer.status_code in (200, 302, 400), (path, name)
        sweep.call(path, {"action": "delete_selected", "_selected_action": huge}, method="post")


def filters_of(model_admin: admin.ModelAdmin[Any]) -> list[str]:
    """Return query parameters of a list's filters, with several lookups for each."""
    declared = [each[0] if isinstance(each, tuple) else each for each in model_admin.list_filter]
    fields = {each for each in [*declared, model_admin.date_hierarchy] if isinstance(each, str)}
    return [f"{field}{lookup}" for field in sorted(fields) for lookup in LOOKUPS]


def test_a_wrong_selection_of_an_action_changes_nothing(stored: dict[str, Stored]) -> None:
    sweep = Sweep(stored, staff(is_superuser=True))
    for path, action in (
        ("/admin/exports/filerequest/", "cancel"),
        ("/admin/exports/apikey/", "revoke"),
        ("/admin/exports/supplier/", "delete_selected"),
    ):
        for value in POISON:
            data = {"action": action, "_selected_action": value, "post": "yes", "confirmed": "yes"}
            assert sweep.call(path, data, method="post").status_code in (200, 302), (path, value)


def test_a_poisoned_path_is_no_5xx(stored: dict[str, Stored]) -> None:
    sweep = Sweep(stored, staff(is_superuser=True))
    values = ["x", "%00", "9" * 25, "-1", "%ed%a0%80", "_FF", "a" * 3000, "1%2f2"]
    for n, route in enumerate(every_route()):
        if route.parameters and "logout" not in route.path:
            value = values[n % len(values)]
            sweep.call(route.with_values(dict.fromkeys(route.parameters, value)), {})


def test_every_role_and_every_url_is_swept() -> None:
    """The resolver is walked into the admin and the portal."""
    names = {route.name for route in every_route()}
    assert {"overview", "meter", "download", "exports_supplier_change", "live", "schema"} <= names
    assert {"meters", "meters/<device_id>/latest/"} <= {route.path for route in every_route()}
    assert len(every_route()) > 100
