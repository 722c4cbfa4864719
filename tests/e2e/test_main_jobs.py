"""What people come to each page for, done as they do it: wide and narrow, and without JavaScript."""

from __future__ import annotations

import io
import re
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import paramiko
import pytest
import requests
from playwright.sync_api import Page, expect

from tests.e2e.browser import Stage, Watch
from tests.e2e.conftest import Enter
from tests.e2e.scene import FAILED, METERS, PASSWORD, SUPPLIERS_PERSON, VIEWER, days_ago

EVERY_WAY = [
    pytest.param({"width": "desktop"}, id="desktop"),
    pytest.param({"width": "phone"}, id="phone"),
    pytest.param({"width": "desktop", "javascript": False}, id="no-javascript"),
]
every_way = pytest.mark.parametrize("way", EVERY_WAY)


def until_completed(page: Page) -> None:
    """Without JavaScript, people reload; with it, the page does this by itself."""
    badge = page.locator("#state .badge")
    deadline = time.monotonic() + 60
    while badge.inner_text() != "completed":
        assert time.monotonic() < deadline
        time.sleep(0.3)
        page.reload()


# --- the overview ----------------------------------------------------------------------------
@every_way
def test_the_morning_begins_with_what_needs_attention(enter: Enter, way: dict[str, object]) -> None:
    page = enter("/", **way)
    first = page.locator("main section").first
    expect(first).to_contain_text("intervals lack readings")
    expect(first).to_contain_text("1 push or webhook failed")
    expect(page.locator("#percent")).to_contain_text("%")
    first.get_by_role("link", name="file request failed").click()
    expect(page).to_have_url(re.compile(r"/requests/\?status=failed$"))
    expect(page.get_by_text(FAILED)).to_be_visible()


def test_the_overview_renews_itself(enter: Enter) -> None:
    page = enter("/")
    before = page.locator("p.faint time").last.get_attribute("datetime")
    page.wait_for_function(
        "before => [...document.querySelectorAll('p.faint time')].pop().dateTime !== before",
        arg=before,
    )


def test_times_are_utc_with_the_readers_own_on_hover(enter: Enter) -> None:
    time_shown = enter("/requests/").locator("tbody time").first
    utc = time_shown.inner_text()
    own = time_shown.get_attribute("title") or ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", utc)
    berlin = datetime.fromisoformat(f"{utc}Z").astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{berlin:%H:%M:%S}" in own


# --- readings --------------------------------------------------------------------------------
@every_way
def test_a_day_of_the_calendar_is_exported_in_two_clicks(
    enter: Enter, way: dict[str, object]
) -> None:
    page = enter("/fleet/", **way)
    # Not the first that is green: that may be today, of which only some hours have been.
    page.locator("a.day.full", has_text=f"{days_ago(3)}: 100.0 %").click()
    expect(page.get_by_text(f"{288 * METERS:,} readings in 288 intervals")).to_be_visible()
    page.get_by_role("link", name="Export this window").click()
    page.get_by_label("Supplier").select_option("acme-billing")
    page.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_text("Asked for.")).to_be_visible()
    until_completed(page)
    expect(page.locator(".figures")).to_contain_text(f"{288 * METERS:,}")


@every_way
def test_gaps_and_late_days_are_seen_in_the_calendar(enter: Enter, way: dict[str, object]) -> None:
    page = enter("/fleet/", **way)
    assert page.locator("a.day.part").count() >= 1
    assert page.locator("a.day.late").count() >= 1


@every_way
def test_a_meter_is_found_by_the_beginning_of_its_id(
    enter: Enter, stage: Stage, way: dict[str, object]
) -> None:
    meter = stage.ids["meter"]
    page = enter("/fleet/", **way)
    page.get_by_label("Meter").fill(meter[:5])
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(meter)
    expect(page.get_by_role("heading", name="intervals missing")).to_be_visible()
    assert page.locator("path.curve").count() == 4
    assert page.locator("tbody tr").count() == 12


@every_way
def test_a_window_that_cannot_be_read_is_said_beside_its_field(
    enter: Enter, way: dict[str, object]
) -> None:
    page = enter("/fleet/", **way)
    page.get_by_label("From (UTC)").fill("yesterday")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".errorlist")).to_contain_text("yesterday")


# --- file requests ---------------------------------------------------------------------------
@every_way
def test_filters_live_in_the_address(enter: Enter, way: dict[str, object]) -> None:
    page = enter("/requests/", **way)
    page.get_by_label("Supplier").select_option("northwind-mdm")
    page.get_by_label("Format").select_option("parquet")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"supplier=northwind-mdm.*format=parquet"))
    assert set(page.locator("td.supplier").all_inner_texts()) == {"northwind-mdm"}
    again = enter(page.url, **way)
    expect(again.get_by_label("Supplier")).to_have_value("northwind-mdm")


@every_way
def test_an_estimate_comes_before_the_request(enter: Enter, way: dict[str, object]) -> None:
    page = enter("/requests/new/", **way)
    day = days_ago(2)
    page.get_by_label("Supplier").select_option("gridco")
    page.get_by_label("From (UTC)").fill(f"{day} 00:00")
    page.get_by_label("To (UTC)").fill(f"{day} 00:55")
    if way.get("javascript") is False:
        page.get_by_role("button", name="Estimate").click()
    expect(page.locator("#estimate")).to_contain_text(f"About {12 * METERS:,} readings")


def test_progress_is_seen_without_a_reload(enter: Enter) -> None:
    page = enter("/requests/?supplier=gridco")
    page.evaluate("window.stillHere = true")
    other = enter("/requests/new/")
    other.get_by_label("Supplier").select_option("gridco")
    day = days_ago(3)
    other.get_by_label("From (UTC)").fill(f"{day} 01:00")
    other.get_by_label("To (UTC)").fill(f"{day} 01:55")
    other.get_by_role("button", name="Ask for it").click()
    expect(other.get_by_text("Asked for.")).to_be_visible()
    identifier = other.url.rstrip("/").rpartition("/")[2]
    row = page.locator("tr", has=page.locator(f"#request-{identifier}"))
    expect(row.locator(".badge")).to_have_text("completed", timeout=60_000)
    expect(other.locator("#state .badge")).to_have_text("completed", timeout=60_000)
    assert page.evaluate("window.stillHere") is True


@every_way
def test_a_requests_page_tells_it_all_and_gives_its_file(
    enter: Enter, stage: Stage, way: dict[str, object]
) -> None:
    page = enter(f"/requests/{stage.ids['completed']}/", **way)
    for state in ("queued", "submitted", "running", "completed"):
        expect(page.locator(".timeline")).to_contain_text(state)
    assert page.locator(".parts progress").count() >= 1
    expect(page.get_by_text("SHA-256")).to_be_visible()
    expect(page.locator("pre")).to_contain_text(f"gridco@localhost:{stage.ids['completed']}/")
    expect(page.get_by_text("Connection refused").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".gz")
    assert download.value.path().read_bytes()[:2] == b"\x1f\x8b"
    page.reload()
    expect(page.get_by_text(", by the portal").first).to_be_visible()


@every_way
def test_a_request_is_run_again(enter: Enter, stage: Stage, way: dict[str, object]) -> None:
    page = enter(f"/requests/{stage.ids['failed']}/", **way)
    expect(page.get_by_text(FAILED)).to_be_visible()
    page.get_by_role("button", name="Run it again").click()
    expect(page.get_by_text("Asked for again, as a new request.")).to_be_visible()
    until_completed(page)


# --- suppliers and deliveries ------------------------------------------------------------------
@every_way
def test_a_supplier_is_made_and_can_start_at_once(
    enter: Enter, stage: Stage, way: dict[str, object], request: pytest.FixtureRequest
) -> None:
    name = "new-" + request.node.callspec.id
    page = enter("/suppliers/", **way)
    page.get_by_role("link", name="New supplier").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{name} is ready")
    api_key = page.locator("#api-key").inner_text()
    answer = requests.get(f"{stage.url}/readings/files", headers={"X-API-Key": api_key}, timeout=30)
    assert (answer.status_code, answer.json()["results"]) == (200, [])

    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {name}.pem").click()
    assert download.value.suggested_filename == f"{name}.pem"
    key = paramiko.RSAKey.from_private_key(io.StringIO(download.value.path().read_text()))
    with paramiko.Transport(("localhost", stage.deployment.sftp_port)) as transport:
        transport.connect(username=name, pkey=key)
        sftp = transport.open_sftp_client()
        assert sftp is not None
        assert sftp.listdir("/") == []
        seen = enter("/deliveries/")
        expect(seen.locator("tr", has_text=name).first).to_contain_text("connected")

    # The supplier's page shows neither of the two keys again.
    page.goto(f"/suppliers/{name}/")
    assert api_key not in page.content()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)


@every_way
def test_a_connection_and_a_webhook_are_tried_out(enter: Enter, way: dict[str, object]) -> None:
    page = enter("/suppliers/gridco/", **way)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("alert")).to_contain_text("Connection refused")
    page.goto("/suppliers/northwind-mdm/")
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")


@every_way
def test_what_failed_is_found_and_tried_again(enter: Enter, way: dict[str, object]) -> None:
    page = enter("/deliveries/", **way)
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("state=failed"))
    row = page.locator("section", has=page.locator("#brought")).locator("tbody tr").first
    tries = int(row.locator("td[data-label=Tries]").inner_text())
    row.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("It is tried once more.")).to_be_visible()
    # Its target is switched off: the courier gives it up again, and says so.
    page.goto("/deliveries/?supplier=gridco")
    deadline = time.monotonic() + 60
    while row.locator("td[data-label=Tries]").inner_text() != str(tries + 1):
        assert time.monotonic() < deadline
        time.sleep(0.3)
        page.reload()
    expect(row).to_contain_text("gone or inactive")


# --- people ------------------------------------------------------------------------------------
@every_way
def test_a_suppliers_person_logs_in_and_fetches_their_file(
    enter: Enter, stage: Stage, way: dict[str, object]
) -> None:
    page = enter("/", who=None, **way)
    page.get_by_label("Username").fill(SUPPLIERS_PERSON)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/requests/$"))
    assert set(page.locator("td.supplier").all_inner_texts()) == {"acme-billing"}
    page.locator(f"#request-{stage.ids['theirs']}").click()
    with page.expect_download():
        page.get_by_role("link", name="Download").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


@every_way
def test_a_wrong_password_is_said(enter: Enter, way: dict[str, object]) -> None:
    page = enter("/login/", who=None, **way)
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".errorlist")).to_contain_text("correct username and password")


def test_a_viewer_looks_and_is_offered_nothing_else(enter: Enter, stage: Stage) -> None:
    for path in (
        "/requests/",
        f"/requests/{stage.ids['failed']}/",
        "/suppliers/gridco/",
        "/suppliers/",
    ):
        page = enter(path, who=VIEWER)
        for name in (
            "New request",
            "New supplier",
            "New API key",
            "Run it again",
            "Test connection",
        ):
            assert page.get_by_text(name).count() == 0, (path, name)


def test_the_keyboard_reaches_the_content_first(enter: Enter) -> None:
    page = enter("/requests/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("To the content")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_what_is_not_there_is_said_in_a_page(enter: Enter, watch: Watch) -> None:
    watch.expected = ["404"]
    page = enter("/requests/00000000-0000-0000-0000-000000000000/")
    expect(page.get_by_text("There is nothing here.")).to_be_visible()
