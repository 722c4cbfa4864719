"""Fixtures for the browser tests: Chromium, a deployment with the scene, and pages opened as a user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from tests.e2e import scene
from tests.e2e.browser import PageMonitor, Site, chromium, log_in, running_site

WIDTHS = {"desktop": (1280, 900), "phone": (360, 740)}
OpenPage = Callable[..., Page]
TIMEOUT_SECONDS = 120
STOP_REFRESHING = """() => {
    const last = setInterval(() => {}, 1000);
    for (let id = 1; id <= last; id++) clearInterval(id);
}"""
"""A page that stays open after its test would load the server every two seconds."""


# Not for the whole session: while Playwright's event loop runs, Django refuses database access in this thread.
@pytest.fixture(scope="package")
def browser(starts_processes: None) -> Iterator[Browser]:
    """Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[Site]:
    """A running deployment with the scene."""
    with running_site(tmp_path_factory.mktemp("e2e") / "home") as running:
        yield running


@pytest.fixture(scope="package")
def cookies(browser: Browser, site: Site) -> Callable[[str], Any]:
    """A function that returns a user's cookies after the log-in. Each user logs in once for all tests."""
    states: dict[str, Any] = {}

    def cookies_of(name: str) -> Any:
        if name not in states:
            password = site.operator_password if name == "operator" else scene.PASSWORD
            with browser.new_context() as context:
                log_in(context.new_page(), site, name, password)
                states[name] = context.storage_state()
        return states[name]

    return cookies_of


@pytest.fixture
def monitor() -> Iterator[PageMonitor]:
    """The monitor of the test's pages. The test fails at its end if there are unexpected problems."""
    monitor = PageMonitor()
    yield monitor
    monitor.check()


@pytest.fixture
def open_page(
    browser: Browser, site: Site, cookies: Callable[[str], Any], monitor: PageMonitor
) -> Iterator[OpenPage]:
    """A function that opens a page in a new window. It takes the path, and the fields of :class:`Window`."""
    contexts: list[BrowserContext] = []

    def open_page(path: str = "/", *, dark: bool = False, **window_options: Any) -> Page:
        window = Window(**window_options)
        context = window.open(browser, site, cookies, dark=dark)
        contexts.append(context)
        monitor.observe(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def each_width(page: Page) -> Iterator[str]:
    """Give the window of a page each width in turn, and yield its name."""
    for width, (pixels, height) in WIDTHS.items():
        page.set_viewport_size({"width": pixels, "height": height})
        yield width


@dataclass(frozen=True)
class Window:
    """A browser window that shares nothing with others: its user (None without a log-in), width and scripting."""

    user: str | None = "operator"
    width: str = "desktop"
    javascript: bool = True

    @property
    def size(self) -> ViewportSize:
        """Its width and height in pixels."""
        width, height = WIDTHS[self.width]
        return {"width": width, "height": height}

    def open(
        self, browser: Browser, site: Site, cookies: Callable[[str], Any], *, dark: bool = False
    ) -> BrowserContext:
        """Open the window, without a page."""
        context = browser.new_context(
            base_url=site.url,
            viewport=self.size,
            java_script_enabled=self.javascript,
            color_scheme="dark" if dark else "light",
            storage_state=cookies(self.user) if self.user else None,
            accept_downloads=True,
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        context.set_default_timeout(TIMEOUT_SECONDS * 1000)
        return context


@pytest.fixture(scope="module")
def open_windows() -> Iterator[dict[Window, tuple[Page, PageMonitor]]]:
    """The windows that the tests of a file share."""
    windows: dict[Window, tuple[Page, PageMonitor]] = {}
    yield windows
    for page, _ in windows.values():
        page.context.close()


@pytest.fixture
def visit(
    browser: Browser,
    site: Site,
    cookies: Callable[[str], Any],
    monitor: PageMonitor,
    open_windows: dict[Window, tuple[Page, PageMonitor]],
) -> Iterator[OpenPage]:
    """Do what ``open_page`` does, but in a window that the tests of a file share. The user must stay logged in.

    A new window would start a new process of Chromium, which takes nearly as much time as the test.
    """
    visited: list[tuple[Page, PageMonitor]] = []

    def visit(path: str, *, dark: bool = False, **window_options: Any) -> Page:
        window = Window(**window_options)
        shared = replace(window, width="desktop")
        if shared not in open_windows:
            context = shared.open(browser, site, cookies)
            observer = PageMonitor()
            observer.observe(context)
            open_windows[shared] = context.new_page(), observer
        page, observer = open_windows[shared]
        observer.problems.clear()
        observer.expected = monitor.expected
        visited.append((page, observer))
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.set_viewport_size(window.size)
        page.goto(path)
        return page

    yield visit
    for page, observer in visited:
        page.evaluate(STOP_REFRESHING)
        observer.check()
