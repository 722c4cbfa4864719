"""``python -m benchmarks.portal``: how quick each page is with a month of a large fleet behind it.

30 days of interval totals of 50,000 meters, the newest day's 14.4 million readings in the store, 5,000 file
requests of 20 suppliers, and what became of them; then every page through gunicorn, one call after the other.
The peer is ``/health/live``, the least that a call of the same server costs.
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
from datetime import datetime, timedelta

import django
import requests
from rich.console import Console
from rich.table import Table

from tests.deployment import ROOT, free_port

METERS = 50_000
SUPPLIERS, REQUESTS = 20, 5_000
CALLS = 60
MARK_MILLISECONDS = 300
PASSWORD = "correct horse battery"  # noqa: S105 (of a deployment that lives a minute)


def main() -> int:
    """The exit code: 0 when every page's p95 is within the mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="of interval totals (30)")
    days = parser.parse_args().days
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="headend-bench-portal-") as home:
        port = free_port()
        os.environ |= {
            "HEADEND_HOME": home, "HEADEND_PORT": str(port), "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "headend.settings", "SIMULATION_DEVICES": str(METERS),
        }  # fmt: skip
        django.setup()
        console.print(f"filling the store with a day, the database with {days} days")
        paths = _fill(days)
        with _web(port) as url:
            return _report(console, url, paths)


def _fill(days: int) -> list[str]:
    """The pages there are to ask for."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.utils import timezone

    from benchmarks.portal_rows import fill_history, fill_totals
    from readings.ingest.deployment_fleet import deployment_fleet
    from readings.repositories import repository
    from readings.tasks import update_interval_totals

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    User.objects.create_superuser("operator", password=PASSWORD)
    now = timezone.now()
    fleet = deployment_fleet()
    call_command("backfill", start=str(now - timedelta(days=1))[:19], verbosity=0)
    repository().maintain()
    update_interval_totals(26)
    fill_totals(now, timedelta(days=days), fleet.interval, METERS)
    request = fill_history(now, SUPPLIERS, REQUESTS)
    meter = next(
        iter(
            repository()
            .snapshot()
            .page(_the_last_hour(now), offset=4_711, size=1)
            .readings["device_id"]
        )
    )
    long_ago = (now - timedelta(days=days)).date()
    return [
        "/", "/fleet/", f"/fleet/?start={long_ago}&end={now.date()}", f"/fleet/meters/?q={meter[:3]}",
        f"/fleet/meters/{meter}/", "/requests/", "/requests/?supplier=supplier-7&status=failed",
        "/requests/?page=40", f"/requests/{request}/", "/requests/new/",
        f"/requests/estimate/?supplier=supplier-1&start={long_ago}&end={now.date()}&format=csv",
        "/deliveries/", "/deliveries/?state=failed", "/suppliers/", "/suppliers/supplier-1/", "/new-supplier/",
        "/admin/", "/admin/exports/filerequest/", "/admin/exports/supplier/",
    ]  # fmt: skip


def _the_last_hour(now: datetime):  # type: ignore[no-untyped-def] # readings are imported late
    from readings.window import Window

    return Window(now - timedelta(hours=1), now)


@contextmanager
def _web(port: int) -> Iterator[str]:
    """The web server as the Procfile starts it."""
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
            except requests.ConnectionError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _report(console: Console, url: str, paths: list[str]) -> int:
    browser = requests.Session()
    form = browser.get(f"{url}/login/").text
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[:1]
    answer = browser.post(
        f"{url}/login/",
        {"username": "operator", "password": PASSWORD, "csrfmiddlewaretoken": token},
    )
    assert answer.url == f"{url}/", answer.url
    table = Table(
        "page",
        "p50, ms",
        "p95, ms",
        "most, ms",
        "p50 against /health/live",
        f"p95 under {MARK_MILLISECONDS:g}",
    )
    floor = _percentiles(browser, f"{url}/health/live")[0]
    missed = 0
    for path in paths:
        p50, p95, most = _percentiles(browser, url + path)
        passed = p95 < MARK_MILLISECONDS
        missed += not passed
        shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", path)
        table.add_row(
            shown, f"{p50:.0f}", f"{p95:.0f}", f"{most:.0f}", f"{p50 / floor:.1f} times",
            "yes" if passed else "MISSED",
        )  # fmt: skip
    console.print(table)
    return 1 if missed else 0


def _percentiles(browser: requests.Session, address: str) -> tuple[float, float, float]:
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        answer = browser.get(address, timeout=60)
        took.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, (address, answer.status_code)
    cuts = statistics.quantiles(took, n=20, method="inclusive")
    return statistics.median(took), cuts[-1], max(took)


if __name__ == "__main__":
    sys.exit(main())
