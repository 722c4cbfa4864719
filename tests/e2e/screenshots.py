"""Take a screenshot of every page for the documentation, light and dark: ``make screenshots``."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.deployment import ROOT
from tests.e2e import scene
from tests.e2e.browser import Site, chromium, log_in, running_site
from tests.e2e.pages import ADMIN, API, PORTAL

FOLDER = ROOT / "docs" / "screenshots"
WIDTH, MAX_HEIGHT = 1280, 1500
PHONE_WIDTH = 360
PHONE_PAGES = ["overview", "requests", "meter"]


def main() -> None:
    """Create the scene, start the deployment, and save a screenshot of each page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="headend-screenshots-") as folder,
        chromium() as browser,
        running_site(
            Path(folder) / "home", meters=scene.METERS_IN_PICTURES, days=scene.DAYS_IN_PICTURES
        ) as running,
    ):
        for scheme in ("light", "dark"):
            _take_screenshots(browser, running, scheme)
    print(f"{len(list(FOLDER.glob('*.png')))} screenshots in {FOLDER.relative_to(ROOT)}/")  # noqa: T201


def _take_screenshots(browser: Browser, running: Site, scheme: str) -> None:
    for user in sorted({shown.user or "" for shown in PORTAL.values()}):
        page = _page(browser, running, scheme, WIDTH, user)
        for name, shown in (PORTAL | ADMIN | API).items():
            if (shown.user or "") == user:
                page.goto(running.url + shown.path(running), wait_until="networkidle")
                if name in API:
                    # Swagger UI first shows that it is loading, and draws the models last.
                    page.locator("section.models").wait_for()
                _save(page, f"{name}-{scheme}")
        if user == "operator":
            _take_hand_over_screenshot(page, running, scheme)
    phone = _page(browser, running, scheme, PHONE_WIDTH, "operator")
    for name in PHONE_PAGES:
        phone.goto(running.url + PORTAL[name].path(running))
        _save(phone, f"{name}-phone-{scheme}")


def _page(browser: Browser, running: Site, scheme: str, width: int, user: str) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    if user:
        password = running.operator_password if user == "operator" else scene.PASSWORD
        log_in(page, running, user, password)
    return page


def _take_hand_over_screenshot(page: Page, running: Site, scheme: str) -> None:
    page.goto(f"{running.url}/new-supplier/")
    page.get_by_label("Name").fill(f"carol-{scheme}")
    page.get_by_role("button", name="Create supplier").click()
    _save(page, f"hand-over-{scheme}")


def _save(page: Page, name: str) -> None:
    height = min(MAX_HEIGHT, int(page.evaluate("document.documentElement.scrollHeight")))
    clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height}  # type: ignore[index] # set
    png = page.screenshot(full_page=True, clip=clip)
    # A page has few colours: with a palette the file has a third of the size.
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(
        FOLDER / f"{name}.png", optimize=True
    )


if __name__ == "__main__":
    main()
