"""On a full or read-only disk a file request fails with a clear reason, and the worker continues with the next one.

The disk is a small tmpfs in a mount namespace of the command below, so no other process sees it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import ROOT, Deployment, share_set_up

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
subprocess.run({between!r}, shell=True, check=True)
print(json.dumps([first, export(minutes=0)]))
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A deployment with an hour of readings, whose file is larger than the small disk."""
    created = Deployment(
        tmp_path_factory.mktemp("full-disk") / "home",
        {"SIMULATION": "off", "SIMULATION_DEVICES": "20000", "EXPORTS_ATTEMPTS": "2"},
    )
    share_set_up(created.home)
    backfill = ("backfill", "--start", "2023-02-27 00:00:00", "--end", "2023-02-27 00:55:00")
    created.manage_each(("setup",), backfill)
    return created


def export_twice_on_disk(
    deployment: Deployment, *, size: str, before: str, between: str
) -> list[Any]:
    """Export an hour and then one interval on a disk of ``size``, and return the status and reason of both.

    ``before`` and ``between`` are shell commands that run before the first and the second export.
    """
    disk = deployment.home / "exports"
    script = deployment.home / "steps.py"
    script.write_text(
        _STEPS.format(before=before.format(disk=disk), between=between.format(disk=disk))
    )
    run = f"mount -t tmpfs -o size={size} none {disk} && exec {sys.executable} manage.py shell -v0 < {script}"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", run],
        cwd=ROOT, env=deployment.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outcome: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def test_a_full_disk_is_the_reason_of_the_failure_and_the_next_request_completes(
    deployment: Deployment,
) -> None:
    (status, reason), smaller = export_twice_on_disk(
        deployment, size="4m", before="true", between="true"
    )
    assert status == "failed"
    assert reason.startswith("The disk that export files are written to is full.")
    assert smaller == ["completed", ""]


def test_a_disk_that_is_too_small_for_the_database_is_a_one_line_error(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "disk" / "home", {"SIMULATION": "off"})
    disk = deployment.home.parent
    disk.mkdir()
    run = f"mount -t tmpfs -o size=200k none {disk} && exec {sys.executable} manage.py setup"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", run],
        cwd=ROOT, env=deployment.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "headend: DATABASE_URL: database or disk is full. Make space on the disk of the database.\n"
    )


def test_a_read_only_disk_is_the_reason_of_the_failure_and_the_next_request_completes(
    deployment: Deployment,
) -> None:
    (status, reason), smaller = export_twice_on_disk(
        deployment,
        size="64m",
        before="mount -o remount,ro {disk}",
        between="mount -o remount,rw {disk}",
    )
    assert status == "failed"
    assert reason.startswith("The disk that export files are written to is read-only.")
    assert smaller == ["completed", ""]
