"""Every page, in a wide and a narrow window, in light and dark: whole, accessible, and from here alone."""

from __future__ import annotations

import pytest

from tests.e2e.browser import Stage, scrolled_sideways, violations
from tests.e2e.conftest import WIDTHS, Enter
from tests.e2e.pages import ADMIN, PORTAL


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PORTAL)
def test_a_page_is_whole_and_accessible(enter: Enter, stage: Stage, name: str, width: str) -> None:
    shown = PORTAL[name]
    page = enter(shown.path(stage), who=shown.who, width=width)
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.title().endswith("headend")
    assert "\n".join(violations(page)) == ""
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert "\n".join(violations(page)) == ""
    assert scrolled_sideways(page) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ADMIN)
def test_the_admin_is_accessible(enter: Enter, stage: Stage, name: str, width: str) -> None:
    page = enter(ADMIN[name].path(stage), width=width)
    assert "\n".join(violations(page)) == ""
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert "\n".join(violations(page)) == ""


@pytest.mark.parametrize("name", PORTAL)
def test_a_page_can_be_read_without_javascript(enter: Enter, stage: Stage, name: str) -> None:
    shown = PORTAL[name]
    with_it = enter(shown.path(stage), who=shown.who)
    without = enter(shown.path(stage), who=shown.who, javascript=False)
    headings = [page.locator("h1, h2, th").all_inner_texts() for page in (with_it, without)]
    assert headings[0] == headings[1]
