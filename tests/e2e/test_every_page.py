"""Every page, wide and narrow, light and dark: complete, accessible, and loaded from this host only.

Only style sheets depend on the width and the colours, so each page opens once. Then the user changes the window's width
and switches the colours.
"""

from __future__ import annotations

import pytest
from django.contrib import admin
from playwright.sync_api import Page

from tests.e2e.browser import (
    PageMonitor,
    Site,
    scrolled_sideways,
    violations,
    violations_in_both_colours,
)
from tests.e2e.conftest import OpenPage, each_width
from tests.e2e.pages import ADMIN, API, PORTAL

admin.autodiscover()
OTHER_ADMIN_PAGES = [
    *(
        f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for model in admin.site._registry
    ),
    "/admin/auth/group/1/change/",
    "/admin/auth/user/1/change/",
    "/admin/auth/user/1/password/",
    "/admin/exports/supplier/add/",
    "/admin/exports/supplier/2/delete/",
    "/admin/exports/supplier/2/history/",
]


def headings(page: Page) -> list[str]:
    """Return the headings of a page and of its tables."""
    # The line breaks of a text depend on whether the browser has drawn it already.
    return [" ".join(text.split()) for text in page.locator("h1, h2, th").all_inner_texts()]


@pytest.mark.parametrize("name", PORTAL)
def test_a_page_is_complete_and_accessible_and_has_the_same_headings_without_javascript(
    visit: OpenPage, site: Site, name: str
) -> None:
    shown = PORTAL[name]
    page = visit(shown.path(site), user=shown.user)
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.title().endswith("headend")
    without_script = visit(shown.path(site), user=shown.user, javascript=False)
    assert headings(without_script) == headings(page)
    for width in each_width(page):
        assert "\n".join(violations_in_both_colours(page)) == "", width
        assert scrolled_sideways(page) == [], width


@pytest.mark.parametrize("name", ADMIN)
def test_the_admin_is_accessible(visit: OpenPage, site: Site, name: str) -> None:
    page = visit(ADMIN[name].path(site))
    for width in each_width(page):
        assert "\n".join(violations_in_both_colours(page)) == "", width


@pytest.mark.parametrize("path", OTHER_ADMIN_PAGES)
def test_other_admin_pages_are_accessible(visit: OpenPage, path: str) -> None:
    page = visit(path)
    for width in each_width(page):
        assert "\n".join(violations(page)) == "", width


@pytest.mark.parametrize(("name", "dark"), [("api", True), ("api-of-the-staff", False)])
def test_the_api_documentation_is_accessible(
    visit: OpenPage, site: Site, name: str, *, dark: bool
) -> None:
    shown = API[name]
    page = visit(shown.path(site), user=shown.user, dark=dark)
    operation = "GET /readings/files List your file requests, newest first"
    page.get_by_role("button", name=operation, exact=True).click()
    assert page.get_by_role("link", name="Overview").count() == (shown.user is not None)
    for width in each_width(page):
        assert "\n".join(violations_in_both_colours(page)) == "", width


def test_without_javascript_the_api_documentation_links_to_the_schema(
    visit: OpenPage, monitor: PageMonitor
) -> None:
    monitor.expected.append("404")  # Chromium requests an icon for a page of JSON.
    page = visit("/api/docs/", user=None, javascript=False)
    page.get_by_role("link", name="the schema").click()
    assert '"openapi": "3' in page.locator("pre").inner_text()


@pytest.mark.parametrize("path", ["/nowhere/", "/requests/00000000-0000-0000-0000-000000000000/"])
def test_the_not_found_page_is_accessible(visit: OpenPage, monitor: PageMonitor, path: str) -> None:
    monitor.expected.append("404")
    assert "\n".join(violations(visit(path))) == ""
