"""The page of a meter in a new process, which has cached nothing. Part of the topic :mod:`benchmarks.pages`.

First, the table is maintained as a deployment does every hour. The clock is on the last day of the table, which has not
ended. So all other days are compacted and have meter copies.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from benchmarks.ratio import Figure, duration
from readings.instants import format_instant
from readings.repositories import repository
from readings.repositories.delta.data_files import DataFiles
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.repository import DeltaRepository
from readings.window import DAY, Window

OPERATOR = "operator"
PROCESSES = 3
LIMIT_SECONDS = 0.3
MAX_COPY_SECONDS, MAX_COPY_PERCENT = 30, 50


def measure_meter_pages(table: Path, end: datetime) -> Iterator[Figure]:
    """Maintain the table, and measure the copy of a day, and the pages of 8 and 30 days before ``end``."""
    yield from _maintain(table, end)
    call_command("collectstatic", verbosity=0, interactive=False)
    User.objects.create_superuser(OPERATOR)
    for days in (8, 30):
        yield Figure(
            f"the page of a meter, {days} days, nothing cached",
            statistics.median(_in_new_process(end, days) for _ in range(PROCESSES)),
            "s",
            LIMIT_SECONDS,
        )


def _maintain(table: Path, end: datetime) -> Iterator[Figure]:
    readings = DeltaRepository(str(table), clock=lambda: end)
    while readings.maintain()["days copied"]:
        pass
    day = (end - DAY).date()
    folder = DiskFolder(table)
    data_files = DataFiles.of(folder, folder.table()).by_day[day]
    copy = [*(table / "_meters").glob(f"{day}-*")]
    copied, stored = (
        sum(file.stat().st_size for file in files) for files in (copy, map(Path, data_files))
    )
    for file in copy:
        file.unlink()
    before = time.process_time()
    assert readings.maintain()["days copied"] == 1
    used = time.process_time() - before
    what = "the meter copy of a day, 14.4 M readings"
    yield Figure(f"{what}: processor time", used, "s", MAX_COPY_SECONDS)
    yield Figure(f"{what}: disk", 100 * copied / stored, "% of the day", MAX_COPY_PERCENT)


def _in_new_process(end: datetime, days: int) -> float:
    code = (
        "import django; django.setup(); from benchmarks.meter_page import print_meter_page; "
        f"print_meter_page({format_instant(end)!r}, {days})"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(run.stdout)


def print_meter_page(end_text: str, days: int) -> None:
    """Print how long the page takes. The process has rendered a page with an hour of the same meter before."""
    end = datetime.fromisoformat(f"{end_text}+00:00")
    newest = Window(end - timedelta(hours=1), end)
    meter = repository().snapshot().page(newest, offset=24_711, size=1).readings["device_id"][0]
    browser = Client()
    browser.force_login(User.objects.get(username=OPERATOR))

    def get(start: datetime) -> None:
        bounds = {"start": format_instant(start), "end": format_instant(end)}
        page = browser.get(f"/fleet/meters/{meter}/", bounds)
        assert page.status_code == 200, page.status_code

    get(newest.start)
    print(duration(lambda: get(end - days * DAY)))
