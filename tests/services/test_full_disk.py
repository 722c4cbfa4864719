"""A disk that is full or read-only: a failed request that says so, and a worker that goes on.

The disk is a small one of memory, mounted in a namespace that only the command below sees.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import ROOT, Deployment

pytestmark = pytest.mark.starts_processes

_STEPS = """
import json, subprocess
from datetime import UTC, datetime, timedelta
from django.conf import settings
from exports.pipeline import cleanup, worker
from exports.models import ExportPart, FileRequest, Supplier
from exports.file_requests import FileSpec, accept
start = datetime(2023, 2, 27, tzinfo=UTC)
supplier = Supplier.objects.get()
def export(minutes):
    request = accept(supplier, FileSpec(start, start + timedelta(minutes=minutes)))
    for _ in range(20):
        ExportPart.objects.update(leased_until=None)
        FileRequest.objects.update(leased_until=None)
        worker.run_next_step()
    cleanup.remove_leftovers()
    request.refresh_from_db()
    return [request.status, request.reason]
subprocess.run({before!r}, shell=True, check=True)
first = export(minutes=55)
subprocess.run({then!r}, shell=True, check=True)
print(json.dumps([first, export(minutes=0)]))
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """An hour of readings, more than a small disk takes as a file."""
    made = Deployment(
        tmp_path / "home",
        {"SIMULATION": "off", "SIMULATION_DEVICES": "20000", "EXPORTS_ATTEMPTS": "2"},
    )
    made.manage("setup")
    made.manage(
        "backfill", "--start", "2023-02-27 00:00:00", "--end", "2023-02-27 00:55:00"
    )  # fmt: skip
    return made


def on_a_disk(deployment: Deployment, *, size: str, before: str, then: str) -> list[Any]:
    """On a disk of ``size``: do ``before``, export an hour, do ``then``, export an interval."""
    disk = deployment.home / "exports"
    script = deployment.home / "steps.py"
    script.write_text(_STEPS.format(before=before.format(disk=disk), then=then.format(disk=disk)))
    run = f"mount -t tmpfs -o size={size} none {disk} && exec {sys.executable} manage.py shell -v0 < {script}"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", run],
        cwd=ROOT, env=deployment.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outcome: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def test_a_full_disk_is_named_and_the_worker_goes_on(deployment: Deployment) -> None:
    (status, reason), smaller = on_a_disk(deployment, size="4m", before="true", then="true")
    assert status == "failed"
    assert reason.startswith("The disk that export files are written to is full.")
    assert smaller == ["completed", ""]


def test_a_read_only_disk_is_named_and_the_worker_goes_on(deployment: Deployment) -> None:
    (status, reason), smaller = on_a_disk(
        deployment,
        size="64m",
        before="mount -o remount,ro {disk}",
        then="mount -o remount,rw {disk}",
    )
    assert status == "failed"
    assert reason.startswith("The disk that export files are written to is read-only.")
    assert smaller == ["completed", ""]
