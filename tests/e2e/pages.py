"""The pages that there are: looked at by the tests, and pictured for the docs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.e2e.browser import Stage
from tests.e2e.scene import SUPPLIERS_PERSON, VIEWER, days_ago


@dataclass(frozen=True)
class Shown:
    """A page, and who looks at it."""

    path: Callable[[Stage], str]
    who: str | None = "operator"


def at(path: str, who: str | None = "operator") -> Shown:
    """A page whose address is always the same, but for the scene's ids."""
    return Shown(lambda stage: path.format(**stage.ids), who)


def yesterday() -> str:
    """A day that the scene has readings of, as the query of an address."""
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
    "new-request": Shown(lambda _: f"/requests/new/?{yesterday()}"),
    "deliveries": at("/deliveries/"),
    "suppliers": at("/suppliers/"),
    "supplier": at("/suppliers/gridco/"),
    "supplier-viewed": at("/suppliers/gridco/", VIEWER),
    "new-supplier": at("/new-supplier/"),
    "requests-of-a-supplier": at("/requests/", SUPPLIERS_PERSON),
    "request-of-a-supplier": at("/requests/{theirs}/", SUPPLIERS_PERSON),
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
