"""The values of a chart, and windows that are selected in it: by pointer, by keyboard, and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.scene import METERS, days_ago

DAY = f"/fleet/?start={days_ago(2)}&end={days_ago(2)}+23:55"
"""A day without missing readings."""


def plot_of(page: Page) -> tuple[Locator, Locator]:
    """Return the plot of the fleet's load, and its readout."""
    section = page.locator("section", has=page.get_by_role("heading", name="Fleet load"))
    return section.locator(".plot"), section.get_by_role("status")


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_the_keyboard_moves_from_value_to_value_and_selects_a_window(
    open_page: OpenPage, width: str
) -> None:
    page = open_page(DAY, width=width)
    plot, readout = plot_of(page)
    plot.focus()
    expect(readout).to_contain_text("press an arrow key")
    plot.press("Home")
    expect(readout).to_have_text(re.compile(rf"^{days_ago(2)} 00:00 UTC: \d+(\.\d+)? kW$"))
    plot.press("End")
    expect(readout).to_contain_text(f"{days_ago(2)} 23:55 UTC: ")
    expect(plot.locator(".cursor")).to_be_in_viewport()
    for key in ("ArrowLeft", "ArrowLeft", "Enter", "PageUp", "ArrowRight"):
        plot.press(key)
    expect(readout).to_contain_text(f"From {days_ago(2)} 23:00:00 to {days_ago(2)} 23:45:00 UTC.")
    plot.press("Escape")
    expect(readout).to_contain_text(f"{days_ago(2)} 23:00 UTC: ")
    for key in ("Enter", "ArrowRight", "ArrowRight", "Enter"):
        plot.press(key)
    expect(page.get_by_text(f"{3 * METERS} readings in 3 intervals")).to_be_visible()
    expect(page.get_by_label("From (UTC)")).to_have_value(f"{days_ago(2)} 23:00:00")


def test_a_chart_on_a_phone_first_shows_its_newest_values(open_page: OpenPage) -> None:
    plot, _ = plot_of(open_page(DAY, width="phone"))
    # Scrolling to a label would also scroll the chart.
    plot.evaluate("plot => plot.scrollIntoView({ block: 'center' })")
    times = plot.locator(".time")
    expect(times.last).to_be_in_viewport()
    expect(times.first).not_to_be_in_viewport()


def test_the_pointer_shows_values_and_selects_a_window(open_page: OpenPage) -> None:
    page = open_page(DAY)
    plot, readout = plot_of(page)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    left, middle, y = box["x"] + 1, box["x"] + box["width"] / 2, box["y"] + 40
    page.mouse.move(left, y)
    expect(readout).to_contain_text(f"{days_ago(2)} 00:00 UTC: ")
    page.mouse.click(left, y)
    page.mouse.down()
    page.mouse.move(middle, y, steps=3)
    expect(readout).to_contain_text(re.compile(rf"^From {days_ago(2)} 00:00:00 to .* Release"))
    page.mouse.up()
    page.wait_for_url("**/fleet/?start=*")
    expect(page.get_by_label("From (UTC)")).to_have_value(f"{days_ago(2)} 00:00:00")
    expect(page.get_by_label("To (UTC)")).to_have_value(re.compile(rf"{days_ago(2)} 1[12]:"))


def test_the_overview_keeps_the_value_that_a_user_reads_when_it_refreshes(
    open_page: OpenPage,
) -> None:
    page = open_page("/")
    plot = page.locator("#plot-fleet-load-last-7-days")
    plot.press("ArrowLeft")
    plot.press("ArrowLeft")
    readout = page.locator("section", has=plot).get_by_role("status")
    text = readout.inner_text()
    plot.evaluate("plot => { plot.dataset.old = 'yes' }")
    expect(page.locator("[data-old]")).to_have_count(0)
    expect(readout).to_have_text(text)
    expect(plot).to_be_focused()
