"""The main jobs of operators and supplier users: on a desktop, on a phone, and without JavaScript."""

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

from tests.e2e.browser import PageMonitor, Site
from tests.e2e.conftest import OpenPage
from tests.e2e.scene import FAILURE_REASON, METERS, PASSWORD, SUPPLIER_USER, VIEWER, days_ago

BROWSERS = [
    pytest.param({"width": "desktop"}, id="desktop"),
    pytest.param({"width": "phone"}, id="phone"),
    pytest.param({"width": "desktop", "javascript": False}, id="no-javascript"),
]
every_browser = pytest.mark.parametrize("options", BROWSERS)


def reload_until_completed(page: Page) -> None:
    """Reload the page of a file request until its status is completed."""
    badge = page.locator("#status .badge")
    deadline = time.monotonic() + 300
    while badge.inner_text() != "completed":
        assert time.monotonic() < deadline
        time.sleep(0.3)
        page.reload()


# --- the overview ----------------------------------------------------------------------------
@every_browser
def test_the_overview_shows_what_needs_attention_first(
    visit: OpenPage, options: dict[str, object]
) -> None:
    page = visit("/", **options)
    first = page.locator("main section").first
    expect(first).to_contain_text("incomplete")
    expect(first).to_contain_text("1 push or webhook failed")
    expect(page.locator("#percent")).to_contain_text("%")
    first.get_by_role("link", name="file request failed").click()
    expect(page).to_have_url(re.compile(r"/requests/\?status=failed$"))
    expect(page.get_by_text(FAILURE_REASON)).to_be_visible()


def test_the_overview_refreshes_itself(visit: OpenPage) -> None:
    page = visit("/")
    before = page.locator("p.muted time").last.get_attribute("datetime")
    page.wait_for_function(
        "before => [...document.querySelectorAll('p.muted time')].pop().dateTime !== before",
        arg=before,
    )


def test_times_are_utc_with_the_local_time_as_tooltip(visit: OpenPage) -> None:
    time_shown = visit("/requests/").locator("tbody time").first
    utc = time_shown.inner_text()
    local = time_shown.get_attribute("title") or ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", utc)
    berlin = datetime.fromisoformat(f"{utc}Z").astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{berlin:%H:%M:%S}" in local


# --- readings --------------------------------------------------------------------------------
@every_browser
def test_a_day_of_the_calendar_is_exported(visit: OpenPage, options: dict[str, object]) -> None:
    page = visit("/fleet/", **options)
    # Not the first complete day: that may be today, which has only some intervals.
    page.locator("a.day.complete", has_text=f"{days_ago(3)}: 100.0 %").click()
    expect(page.get_by_text(f"{288 * METERS:,} readings in 288 intervals")).to_be_visible()
    page.get_by_role("link", name="Export this window").click()
    page.get_by_label("Supplier").select_option("acme-billing")
    page.get_by_role("button", name="Create file request").click()
    expect(page.get_by_text("File request created.")).to_be_visible()
    reload_until_completed(page)
    expect(page.locator(".figures")).to_contain_text(f"{288 * METERS:,}")


@every_browser
def test_the_calendar_marks_gaps_and_late_readings(
    visit: OpenPage, options: dict[str, object]
) -> None:
    page = visit("/fleet/", **options)
    assert page.locator("a.day.partial").count() >= 1
    assert page.locator("a.day.late").count() >= 1


@every_browser
def test_a_meter_is_found_by_the_first_characters_of_its_id(
    visit: OpenPage, site: Site, options: dict[str, object]
) -> None:
    meter = site.ids["meter"]
    page = visit("/fleet/", **options)
    page.get_by_label("Meter").fill(meter[:5])
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(meter)
    expect(page.get_by_role("heading", name="intervals missing")).to_be_visible()
    titles = page.locator(".chart h2").all_inner_texts()
    assert {"Active power kW", "Voltage kV", "Current A", "Power factor"} <= set(titles)
    latest = page.locator("section", has=page.get_by_role("heading", name="Latest readings"))
    assert latest.locator("tbody tr").count() == 12
    expect(page.get_by_role("heading", name="3 readings corrected")).to_be_visible()
    page.locator("details", has_text="3 versions").locator("summary").click()
    expect(page.locator("details[open] tbody tr")).to_have_count(3)
    expect(page.locator("details[open]").get_by_text("valid")).to_be_visible()


@every_browser
def test_an_invalid_window_shows_an_error(visit: OpenPage, options: dict[str, object]) -> None:
    page = visit("/fleet/", **options)
    page.get_by_label("From (UTC)").fill("yesterday")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".errorlist")).to_contain_text("yesterday")


# --- file requests ---------------------------------------------------------------------------
@every_browser
def test_filters_are_in_the_url(
    visit: OpenPage, open_page: OpenPage, options: dict[str, object]
) -> None:
    page = visit("/requests/", **options)
    page.get_by_label("Supplier").select_option("northwind-mdm")
    page.get_by_label("Format").select_option("parquet")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile(r"supplier=northwind-mdm.*format=parquet"))
    assert set(page.locator("td.supplier").all_inner_texts()) == {"northwind-mdm"}
    reopened = open_page(page.url, **options)
    expect(reopened.get_by_label("Supplier")).to_have_value("northwind-mdm")


@every_browser
def test_the_form_estimates_the_file_size(visit: OpenPage, options: dict[str, object]) -> None:
    page = visit("/requests/new/", **options)
    day = days_ago(2)
    page.get_by_label("Supplier").select_option("gridco")
    page.get_by_label("From (UTC)").fill(f"{day} 00:00")
    page.get_by_label("To (UTC)").fill(f"{day} 00:55")
    if options.get("javascript") is False:
        page.get_by_role("button", name="Estimate size").click()
    expect(page.locator("#estimate")).to_contain_text(f"About {12 * METERS:,} readings")


def test_an_error_disappears_when_a_field_is_changed(visit: OpenPage) -> None:
    page = visit("/requests/new/")
    page.get_by_label("From (UTC)").fill("2023-02-28")
    page.get_by_label("To (UTC)").fill("2023-02-27")
    page.get_by_role("button", name="Create file request").click()
    error = page.get_by_text("must not be earlier")
    expect(error).to_be_visible()
    page.get_by_label("Supplier").select_option("gridco")
    expect(error).to_be_visible()
    # The error is shown at To.
    page.get_by_label("From (UTC)").fill("2023-02-26")
    expect(error).to_have_count(0)


def test_progress_is_shown_without_a_reload(visit: OpenPage, open_page: OpenPage) -> None:
    page = visit("/requests/?supplier=gridco")
    page.evaluate("window.notReloaded = true")
    other = open_page("/requests/new/")
    other.get_by_label("Supplier").select_option("gridco")
    day = days_ago(3)
    other.get_by_label("From (UTC)").fill(f"{day} 01:00")
    other.get_by_label("To (UTC)").fill(f"{day} 01:55")
    other.get_by_role("button", name="Create file request").click()
    expect(other.get_by_text("File request created.")).to_be_visible()
    identifier = other.url.rstrip("/").rpartition("/")[2]
    row = page.locator("tr", has=page.locator(f"#request-{identifier}"))
    expect(row.locator(".badge")).to_have_text("completed", timeout=120_000)
    expect(other.locator("#status .badge")).to_have_text("completed", timeout=120_000)
    assert page.evaluate("window.notReloaded") is True


@every_browser
def test_the_page_of_a_request_shows_its_history_and_offers_its_file(
    visit: OpenPage, site: Site, options: dict[str, object]
) -> None:
    page = visit(f"/requests/{site.ids['completed']}/", **options)
    for state in ("queued", "submitted", "running", "completed"):
        expect(page.locator(".timeline")).to_contain_text(state)
    assert page.locator(".parts progress").count() >= 1
    expect(page.get_by_text("SHA-256")).to_be_visible()
    expect(page.locator("pre")).to_contain_text(f"gridco@localhost:{site.ids['completed']}/")
    expect(page.get_by_text("Connection refused").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".gz")
    assert download.value.path().read_bytes()[:2] == b"\x1f\x8b"
    page.reload()
    expect(page.get_by_text("Portal · ").first).to_be_visible()


@every_browser
def test_a_file_is_requested_again(visit: OpenPage, site: Site, options: dict[str, object]) -> None:
    page = visit(f"/requests/{site.ids['failed']}/", **options)
    expect(page.get_by_text(FAILURE_REASON)).to_be_visible()
    page.get_by_role("button", name="Request again").click()
    expect(page.get_by_text("File request created.")).to_be_visible()
    reload_until_completed(page)


# --- suppliers and deliveries ------------------------------------------------------------------
@every_browser
def test_a_new_supplier_can_use_its_credentials_at_once(
    visit: OpenPage,
    open_page: OpenPage,
    site: Site,
    options: dict[str, object],
    request: pytest.FixtureRequest,
) -> None:
    name = "new-" + request.node.callspec.id
    page = visit("/suppliers/", **options)
    page.get_by_role("link", name="New supplier").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create supplier").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{name} is ready")
    api_key = page.locator("#api-key").inner_text()
    answer = requests.get(f"{site.url}/readings/files", headers={"X-API-Key": api_key}, timeout=30)
    assert (answer.status_code, answer.json()["results"]) == (200, [])

    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {name}.pem").click()
    assert download.value.suggested_filename == f"{name}.pem"
    key = paramiko.RSAKey.from_private_key(io.StringIO(download.value.path().read_text()))
    with paramiko.Transport(("localhost", site.deployment.sftp_port)) as transport:
        transport.connect(username=name, pkey=key)
        sftp = transport.open_sftp_client()
        assert sftp is not None
        assert sftp.listdir("/") == []
        seen = open_page("/deliveries/")
        expect(seen.locator("tr", has_text=name).first).to_contain_text("connected")

    # The supplier's page shows neither of the two keys again.
    page.goto(f"/suppliers/{name}/")
    assert api_key not in page.content()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)


@every_browser
def test_the_push_connection_and_the_webhook_can_be_tested(
    visit: OpenPage, options: dict[str, object]
) -> None:
    page = visit("/suppliers/gridco/", **options)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("alert")).to_contain_text("Connection refused")
    page.goto("/suppliers/northwind-mdm/")
    page.get_by_role("button", name="Send test event").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")


@every_browser
def test_a_failed_delivery_is_found_and_retried(
    visit: OpenPage, options: dict[str, object]
) -> None:
    page = visit("/deliveries/", **options)
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("state=failed"))
    row = (
        page.locator("section", has=page.locator("#pushes-and-webhooks")).locator("tbody tr").first
    )
    attempts = int(row.locator("td[data-label=Attempts]").inner_text())
    row.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("The delivery will be retried.")).to_be_visible()
    # Its push target is inactive, so the delivery fails again with that reason.
    page.goto("/deliveries/?supplier=gridco")
    # Without JavaScript, the page does not refresh itself. An attempt in progress is counted, but has no reason yet.
    deadline = time.monotonic() + 300
    while (
        row.locator("td[data-label=Attempts]").inner_text() != str(attempts + 1)
        or "was deleted or is inactive" not in row.inner_text()
    ):
        assert time.monotonic() < deadline, row.inner_text()
        time.sleep(0.3)
        page.reload()


# --- users -------------------------------------------------------------------------------------
@every_browser
def test_a_supplier_user_logs_in_and_downloads_a_file(
    open_page: OpenPage, site: Site, options: dict[str, object]
) -> None:
    page = open_page("/", user=None, **options)
    page.get_by_label("User name").fill(SUPPLIER_USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/requests/$"))
    assert set(page.locator("td.supplier").all_inner_texts()) == {"acme-billing"}
    page.locator(f"#request-{site.ids['of_supplier_user']}").click()
    with page.expect_download():
        page.get_by_role("link", name="Download").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


@every_browser
def test_a_wrong_password_shows_an_error(visit: OpenPage, options: dict[str, object]) -> None:
    page = visit("/login/", user=None, **options)
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".errorlist")).to_contain_text("correct user name and password")


def test_a_viewer_sees_no_actions(visit: OpenPage, site: Site) -> None:
    for path in (
        "/requests/",
        f"/requests/{site.ids['failed']}/",
        "/suppliers/gridco/",
        "/suppliers/",
    ):
        page = visit(path, user=VIEWER)
        for name in (
            "New file request",
            "New supplier",
            "New API key",
            "Request again",
            "Test connection",
        ):
            assert page.get_by_text(name).count() == 0, (path, name)


def test_the_first_tab_stop_skips_to_the_content(visit: OpenPage) -> None:
    page = visit("/requests/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_an_unknown_page_shows_an_error_page(visit: OpenPage, monitor: PageMonitor) -> None:
    monitor.expected = ["404"]
    page = visit("/requests/00000000-0000-0000-0000-000000000000/")
    expect(page.get_by_text("Not found.")).to_be_visible()
