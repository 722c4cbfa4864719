"""Pictures of every page for the docs, in light and dark: ``make screenshots``."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.deployment import ROOT
from tests.e2e import scene
from tests.e2e.browser import Stage, chromium, log_in, stage
from tests.e2e.pages import ADMIN, API, PORTAL

FOLDER = ROOT / "docs" / "screenshots"
WIDTH, TALLEST = 1280, 1500
PHONE = 360
ON_A_PHONE = ["overview", "requests", "meter"]


def main() -> None:
    """Make the scene, walk through the pages, keep a picture of each."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="headend-pictures-") as folder,
        chromium() as browser,
        stage(Path(folder) / "home") as running,
    ):
        for scheme in ("light", "dark"):
            _pictures(browser, running, scheme)
    print(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER.relative_to(ROOT)}/")  # noqa: T201


def _pictures(browser: Browser, running: Stage, scheme: str) -> None:
    for who in sorted({shown.who or "" for shown in PORTAL.values()}):
        page = _page(browser, running, scheme, WIDTH, who)
        for name, shown in (PORTAL | ADMIN | API).items():
            if (shown.who or "") == who:
                page.goto(running.url + shown.path(running), wait_until="networkidle")
                _keep(page, f"{name}-{scheme}")
        if who == "operator":
            _hand_over(page, running, scheme)
    phone = _page(browser, running, scheme, PHONE, "operator")
    for name in ON_A_PHONE:
        phone.goto(running.url + PORTAL[name].path(running))
        _keep(phone, f"{name}-phone-{scheme}")


def _page(browser: Browser, running: Stage, scheme: str, width: int, who: str) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    if who:
        password = running.operator_password if who == "operator" else scene.PASSWORD
        log_in(page, running, who, password)
    return page


def _hand_over(page: Page, running: Stage, scheme: str) -> None:
    page.goto(f"{running.url}/new-supplier/")
    page.get_by_label("Name").fill(f"carol-{scheme}")
    page.get_by_role("button", name="Make it").click()
    _keep(page, f"hand-over-{scheme}")


def _keep(page: Page, name: str) -> None:
    height = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height}  # type: ignore[index] # it was given
    picture = page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type] # a plain dict
    # A page has few colours; with a palette its picture takes a third of the room.
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256).save(
        FOLDER / f"{name}.png", optimize=True
    )


if __name__ == "__main__":
    main()
