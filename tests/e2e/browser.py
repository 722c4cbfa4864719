"""Debian's Chromium, driven by Playwright, and what a page of ours must never do in it."""

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

from tests.deployment import ROOT, Deployment
from tests.e2e import scene

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
FLAGS = [
    # Chromium has no sandbox for root, and none is needed in front of pages of ours.
    "--no-sandbox", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Raises ``RuntimeError`` where it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("These tests drive Debian's Chromium: apt-get install chromium")
    # Five seconds, Playwright's own, are soon over on a machine that is busy with something else.
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Stage:
    """A running deployment with the scene in it."""

    deployment: Deployment
    ids: dict[str, str]

    @property
    def url(self) -> str:
        """Where its portal is."""
        return f"http://localhost:{self.deployment.http_port}"

    @property
    def operator_password(self) -> str:
        """Of the operator that the first run makes."""
        place = self.deployment.home / "secrets" / "headend" / "operator_password"
        return place.read_text().strip()


@contextmanager
def stage(home: Path) -> Iterator[Stage]:
    """The scene, made and started."""
    deployment = Deployment(home, extra=dict(scene.ENVIRONMENT))
    made = subprocess.run(
        [sys.executable, "-m", "tests.e2e.scene"],
        cwd=ROOT,
        env=deployment.environment | {"DJANGO_SETTINGS_MODULE": "headend.settings"},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    ids = json.loads(made.stdout.splitlines()[-1])
    try:
        deployment.start()
        yield Stage(deployment, ids)
    finally:
        deployment.stop()


@dataclass
class Watch:
    """What a browser's pages did that no page of ours may do."""

    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch every page of the context."""
        context.on("console", lambda message: self._console(message.type, message.text))
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on("request", self._request)

    def check(self) -> None:
        """Fail with what was seen."""
        seen = [fault for fault in self.faults if not any(word in fault for word in self.expected)]
        assert not seen, "\n".join(seen)

    def _console(self, kind: str, text: str) -> None:
        # A Content-Security-Policy that was broken is told here as well.
        if kind in ("error", "warning"):
            self.faults.append(f"console: {text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "about") and address.hostname != "localhost":
            self.faults.append(f"another host: {request.url}")


def log_in(page: Page, stage: Stage, name: str, password: str, *, next_path: str = "/") -> None:
    """Through the form, as people do."""
    page.goto(f"{stage.url}/login/?next={next_path}")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page by WCAG 2.2 AA, a line each."""
    if not page.evaluate("typeof window.axe === 'object'"):
        # Evaluated, not put into the page, whose policy lets no such script in.
        page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        "tags => axe.run(document, {runOnly: tags, preload: false}).then(result => result.violations)",
        WCAG,
    )
    return [
        f"{each['impact']} {each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for each in found
        for node in each["nodes"]
    ]


def scrolled_sideways(page: Page) -> list[str]:
    """What has to be scrolled sideways to be read, except charts, code blocks and the calendar."""
    found: list[str] = page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll("main, main *")]
            .filter(each => each.scrollWidth > each.clientWidth + 1
                && (each === document.documentElement || getComputedStyle(each).overflowX !== "visible"))
            .filter(each => !each.matches(".chart, .chart *, pre, .calendar, .visually-hidden, thead, thead *, input, select"))
            .map(each => each.outerHTML.slice(0, 160))"""
    )
    return found
