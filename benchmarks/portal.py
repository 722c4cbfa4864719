"""``python -m benchmarks.portal``: the speed of each portal page with a month of data of a large fleet.

The database holds 30 days of interval totals of 50,000 meters, and 5,000 file requests of 20 suppliers with their
deliveries. The repository holds the 14.4 million readings of the newest day. Every page is requested through
gunicorn, one request at a time. The peer is ``/health/live``, the cheapest request to the same server.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import django
import requests
from rich.console import Console
from rich.table import Table

from benchmarks.preparation import clean_up_after_sigterm, forget_settings, print_needs
from readings.window import Window
from tests.deployment import ROOT
from tests.ports import unused_port

METERS = 50_000
SUPPLIERS, REQUESTS = 20, 5_000
REQUESTS_PER_PAGE = 60
TARGET_MILLISECONDS = 300
DISK_BYTES, SECONDS = 1_500_000_000, 600
PASSWORD = "correct horse battery"  # noqa: S105 (of a temporary deployment)


def main() -> int:
    """Return the exit code: 0 if the p95 of every page is below the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="days of interval totals (default 30)")
    days = parser.parse_args().days
    clean_up_after_sigterm()
    forget_settings()
    print_needs(DISK_BYTES, SECONDS)
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="headend-bench-portal-") as home:
        port = unused_port()
        os.environ |= {
            "HEADEND_HOME": home, "HEADEND_PORT": str(port), "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "headend.settings", "SIMULATION_DEVICES": str(METERS),
        }  # fmt: skip
        django.setup()
        console.print(f"filling the repository with a day and the database with {days} days")
        paths = _fill(days)
        with _web(port) as url:
            return _report(console, url, paths)


def _fill(days: int) -> list[str]:
    """Fill repository and database; return the paths of the pages to request."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.utils import timezone

    from benchmarks.portal_data import fill_history, fill_totals
    from readings.ingest.deployment_fleet import deployment_fleet
    from readings.repositories import open_store, repository
    from readings.tasks import update_interval_totals

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    User.objects.create_superuser("operator", password=PASSWORD)
    now = timezone.now()
    fleet = deployment_fleet()
    open_store(settings.READINGS_URL).create()
    call_command("backfill", start=str(now - timedelta(days=1))[:19], verbosity=0)
    repository().maintain()
    update_interval_totals(26)
    fill_totals(now, timedelta(days=days), fleet.interval, METERS)
    request = fill_history(now, SUPPLIERS, REQUESTS)
    last_hour = Window(now - timedelta(hours=1), now)
    meter = repository().snapshot().page(last_hour, offset=4_711, size=1).readings["device_id"][0]
    first_day = (now - timedelta(days=days)).date()
    return [
        "/", "/fleet/", f"/fleet/?start={first_day}&end={now.date()}", f"/fleet/meters/?q={meter[:3]}",
        f"/fleet/meters/{meter}/", "/requests/", "/requests/?supplier=supplier-7&status=failed",
        "/requests/?page=40", f"/requests/{request}/", "/requests/new/",
        f"/requests/estimate/?supplier=supplier-1&start={first_day}&end={now.date()}&format=csv",
        "/deliveries/", "/deliveries/?state=failed", "/suppliers/", "/suppliers/supplier-1/", "/new-supplier/",
        "/admin/", "/admin/exports/filerequest/", "/admin/exports/supplier/",
    ]  # fmt: skip


@contextmanager
def _web(port: int) -> Iterator[str]:
    """Run the web server as the Procfile does, and yield its URL."""
    url = f"http://localhost:{port}"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "headend/http/gunicorn_config.py",
        "headend.wsgi",
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        for _ in range(300):
            try:
                requests.get(f"{url}/health/live", timeout=5)
                break
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _report(console: Console, url: str, paths: list[str]) -> int:
    browser = requests.Session()
    form = browser.get(f"{url}/login/").text
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[:1]
    response = browser.post(
        f"{url}/login/",
        {"username": "operator", "password": PASSWORD, "csrfmiddlewaretoken": token},
    )
    assert response.url == f"{url}/", response.url
    table = Table(
        "page",
        "p50, ms",
        "p95, ms",
        "max, ms",
        "p50 compared with /health/live",
        f"p95 under {TARGET_MILLISECONDS:g}",
    )
    baseline = _percentiles(browser, f"{url}/health/live")[0]
    missed = 0
    for path in paths:
        p50, p95, maximum = _percentiles(browser, url + path)
        passed = p95 < TARGET_MILLISECONDS
        missed += not passed
        path_shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", path)
        table.add_row(
            path_shown, f"{p50:.0f}", f"{p95:.0f}", f"{maximum:.0f}", f"{p50 / baseline:.1f} times",
            "yes" if passed else "MISSED",
        )  # fmt: skip
    console.print(table)
    return 1 if missed else 0


def _percentiles(browser: requests.Session, url: str) -> tuple[float, float, float]:
    """Return the median, the 95th percentile and the maximum of the response time, in milliseconds."""
    durations = []
    for _ in range(REQUESTS_PER_PAGE):
        started = time.perf_counter()
        response = browser.get(url, timeout=60)
        durations.append(1000 * (time.perf_counter() - started))
        assert response.status_code == 200, (url, response.status_code)
    cuts = statistics.quantiles(durations, n=20, method="inclusive")
    return statistics.median(durations), cuts[-1], max(durations)


if __name__ == "__main__":
    sys.exit(main())
