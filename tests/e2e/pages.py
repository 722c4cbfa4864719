"""The pages that the browser tests open and that the screenshots show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.e2e.browser import Site
from tests.e2e.scene import SUPPLIER_USER, VIEWER, days_ago


@dataclass(frozen=True)
class PageToShow:
    """A page's path and the user who opens it; None for a visitor who is not logged in."""

    path: Callable[[Site], str]
    user: str | None = "operator"


def at(path: str, user: str | None = "operator") -> PageToShow:
    """Return a page whose path is fixed, except for the ids of the scene."""
    return PageToShow(lambda site: path.format(**site.ids), user)


def yesterday_query() -> str:
    """Return the window of yesterday, which has readings, as a URL query."""
    day = days_ago(1)
    return urlencode({"start": f"{day} 00:00", "end": f"{day} 23:59"})


PORTAL = {
    "login": at("/login/", None),
    "overview": at("/"),
    "readings": at("/fleet/"),
    "find-meter": at("/fleet/meters/?q=0"),
    "meter": at("/fleet/meters/{meter}/"),
    "requests": at("/requests/"),
    "requests-none": at("/requests/?status=skipped"),
    "request": at("/requests/{completed}/"),
    "request-failed": at("/requests/{failed}/"),
    "new-request": PageToShow(lambda _: f"/requests/new/?{yesterday_query()}"),
    "deliveries": at("/deliveries/"),
    "suppliers": at("/suppliers/"),
    "supplier": at("/suppliers/gridco/"),
    "supplier-viewed": at("/suppliers/gridco/", VIEWER),
    "new-supplier": at("/new-supplier/"),
    "requests-of-a-supplier": at("/requests/", SUPPLIER_USER),
    "request-of-a-supplier": at("/requests/{of_supplier_user}/", SUPPLIER_USER),
    "password": at("/password/"),
}
ADMIN = {
    "admin": at("/admin/"),
    "admin-requests": at("/admin/exports/filerequest/"),
    "admin-request": at("/admin/exports/filerequest/{completed}/change/"),
    "admin-supplier": at("/admin/exports/supplier/2/change/"),
    "admin-user": at("/admin/auth/user/add/"),
}
API = {"api": at("/api/docs/", None), "api-of-the-staff": at("/api/docs/")}
