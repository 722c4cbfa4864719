"""Run Chromium with Playwright, start the site that it visits, and find errors on its pages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests.deployment import ROOT, Deployment, share_set_up
from tests.e2e import scene

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""The rules of :data:`WCAG` that compare colours."""
PROGRAM = "chromium-headless-shell"
FLAGS = [
    # Chromium has no sandbox for root. The tests open only the project's own pages, so they need none.
    "--no-sandbox", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium without its user interface. Raises ``RuntimeError`` if it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise RuntimeError(f"The browser tests need Chromium: apt-get install {PROGRAM}")
    # Playwright's default of 5 seconds is too short on a machine that is busy.
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Site:
    """A running deployment with the scene, and the ids that the scene returned."""

    deployment: Deployment
    ids: dict[str, str]

    @property
    def url(self) -> str:
        """The address of its portal."""
        return f"http://localhost:{self.deployment.http_port}"

    @property
    def operator_password(self) -> str:
        """The password of the operator, whom the first start creates."""
        path = self.deployment.home / "secrets" / "headend" / "operator_password"
        return path.read_text().strip()


@contextmanager
def running_site(
    home: Path, *, meters: int = scene.METERS, days: int = scene.DAYS
) -> Iterator[Site]:
    """Create the scene in ``home`` and start the deployment; stop it at the end."""
    deployment = Deployment(home, extra=scene.ENVIRONMENT | {"SIMULATION_DEVICES": str(meters)})
    share_set_up(home)
    created = subprocess.run(
        [sys.executable, "-m", "tests.e2e.scene", str(days)],
        cwd=ROOT,
        env=deployment.environment | {"DJANGO_SETTINGS_MODULE": "headend.settings"},
        capture_output=True,
        text=True,
    )
    assert created.returncode == 0, created.stdout + created.stderr
    ids = json.loads(created.stdout.splitlines()[-1])
    try:
        deployment.start()
        yield Site(deployment, ids)
    finally:
        deployment.stop()


@dataclass
class PageMonitor:
    """Collects what a page must not do: console errors, script errors and requests to other hosts."""

    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Texts of problems that the test allows."""

    def observe(self, context: BrowserContext) -> None:
        """Collect the problems of every page of ``context``."""
        context.on("console", lambda message: self._console(message.type, message.text))
        context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        context.on("request", self._request)

    def check(self) -> None:
        """Raise ``AssertionError`` with all problems that are not expected."""
        unexpected = [
            problem
            for problem in self.problems
            if not any(text in problem for text in self.expected)
        ]
        assert not unexpected, "\n".join(unexpected)

    def _console(self, kind: str, text: str) -> None:
        # Violations of the Content-Security-Policy are here too.
        if kind in ("error", "warning"):
            self.problems.append(f"console: {text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "about") and address.hostname != "localhost":
            self.problems.append(f"another host: {request.url}")


def log_in(page: Page, site: Site, name: str, password: str, *, next_path: str = "/") -> None:
    """Log in with the form, and open ``next_path``."""
    page.goto(f"{site.url}/login/?next={next_path}")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """Return the page's violations of WCAG 2.2 AA, or of some rules, that axe-core finds, one per line."""
    if not page.evaluate("typeof window.axe === 'object'"):
        # Evaluated, because the Content-Security-Policy of the page blocks a script element.
        page.evaluate(AXE.read_text())
    stop_transitions(page)
    found: list[dict[str, Any]] = page.evaluate(
        # Without resultTypes, axe-core also describes every element that passes: a third of its time.
        """rules => axe.run(document, {runOnly: rules, preload: false, resultTypes: ["violations"]})
            .then(result => result.violations)""",
        {"type": "rule", "values": rules} if rules else {"type": "tag", "values": WCAG},
    )
    return [
        f"{each['impact']} {each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for each in found
        for node in each["nodes"]
    ]


def switch_colours(page: Page) -> None:
    """Do what the page does when the user switches the operating system from light to dark colours, or back."""
    stop_transitions(page)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.emulate_media(color_scheme="light" if dark else "dark")
    # The browser tells scripts about the switch before it draws the next frame.
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def stop_transitions(page: Page) -> None:
    """Let the colours of a page change at once. While they change slowly, they have a wrong contrast."""
    # Not a style element: the Content-Security-Policy of the page would block it.
    page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync("*, *::before, *::after { transition: none !important }");
            document.adoptedStyleSheets = [sheet];
        }"""
    )


def violations_in_both_colours(page: Page) -> list[str]:
    """Return the violations of a page in its present colours, then those in the other colours, which stay.

    The second run has only the rules about colours: the others do not depend on them.
    """
    found = violations(page)
    switch_colours(page)
    return found + violations(page, COLOUR_RULES)


def scrolled_sideways(page: Page) -> list[str]:
    """Return the elements that need sideways scrolling, except charts, code blocks, tables' heads, inputs and the calendar."""
    found: list[str] = page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll("main, main *")]
            .filter(each => each.scrollWidth > each.clientWidth + 1
                && (each === document.documentElement || getComputedStyle(each).overflowX !== "visible"))
            .filter(each => !each.matches(".chart, .chart *, pre, .calendar, .visually-hidden, thead, thead *, input, select"))
            .map(each => each.outerHTML.slice(0, 160))"""
    )
    return found
