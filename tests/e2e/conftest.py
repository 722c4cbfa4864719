"""A browser, a deployment with a scene in it, and people who are logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e import scene
from tests.e2e.browser import Stage, Watch, chromium, log_in
from tests.e2e.browser import stage as staged

WIDTHS = {"desktop": (1280, 900), "phone": (360, 740)}
Enter = Callable[..., Page]


# Not for the whole run: while Playwright's loop is there, Django takes this thread for an asynchronous one.
@pytest.fixture(scope="package")
def browser(starts_processes: None) -> Iterator[Browser]:
    """Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[Stage]:
    """The deployment."""
    with staged(tmp_path_factory.mktemp("e2e") / "home") as running:
        yield running


@pytest.fixture(scope="package")
def cookies(browser: Browser, stage: Stage) -> Callable[[str], Any]:
    """The cookies of somebody who has logged in, once for all tests."""
    known: dict[str, Any] = {}

    def of(name: str) -> Any:
        if name not in known:
            password = stage.operator_password if name == "operator" else scene.PASSWORD
            with browser.new_context() as context:
                log_in(context.new_page(), stage, name, password)
                known[name] = context.storage_state()
        return known[name]

    return of


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What the test's pages did that they must not; looked at when the test is over."""
    watching = Watch()
    yield watching
    watching.check()


@pytest.fixture
def enter(
    browser: Browser, stage: Stage, cookies: Callable[[str], Any], watch: Watch
) -> Iterator[Enter]:
    """Opens a page as somebody, in a window of some width, with or without JavaScript."""
    contexts: list[BrowserContext] = []

    def open_page(
        path: str = "/",
        *,
        who: str | None = "operator",
        width: str = "desktop",
        javascript: bool = True,
        dark: bool = False,
    ) -> Page:
        w, h = WIDTHS[width]
        context = browser.new_context(
            base_url=stage.url,
            viewport={"width": w, "height": h},
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
            storage_state=cookies(who) if who else None,
            accept_downloads=True,
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
