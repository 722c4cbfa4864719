"""A worker killed in the middle of an export delays it and changes nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import Supplier
from tests.contract.test_files import fetch, wait
from tests.deployment import Deployment

pytestmark = pytest.mark.starts_processes

WINDOW = {"start_date": "2023-02-27 00:00:00", "end_date": "2023-02-27 05:00:00"}


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment with five hours of readings to export, and this test's own to kill."""
    started = Deployment(tmp_path / "home", {"SIMULATION_DEVICES": "30000"}).start()
    started.manage("backfill", "--start", WINDOW["start_date"], "--end", WINDOW["end_date"])
    yield started
    started.stop()


def supplier_of(deployment: Deployment) -> Supplier:
    out = deployment.outputs()
    return Supplier(
        out["apiGatewayInvokeURL"], out["ApiKey"], out["SftpServerAddress"], out["SftpPort"],
        out["SftpUserName"], Path(out["PrivateKeyFile"]),
    )  # fmt: skip


def test_a_killed_worker_delays_an_export_and_changes_nothing_else(mortal: Deployment) -> None:
    supplier = supplier_of(mortal)
    request_id = supplier.order(**WINDOW)
    while supplier.get("/readings/file", request_id=request_id)["status"] in (
        "queued",
        "submitted",
    ):
        time.sleep(0.01)
    [worker] = [
        pid for pid, line in mortal.processes().items() if "--queues readings,exports" in line
    ]
    os.kill(worker, signal.SIGKILL)
    assert mortal.process is not None
    assert mortal.process.wait(30) != 0
    assert mortal.processes() == {}

    mortal.start()
    killed = wait(supplier, request_id)
    assert killed[0]["status"] == "running"
    quiet = wait(supplier, supplier.order(**WINDOW))[-1]
    assert killed[-1]["record_count"] == quiet["record_count"] == 61 * 30_000
    assert killed[-1]["sha256"] == quiet["sha256"]
    assert fetch(supplier, killed[-1]["sftp_location"]) == fetch(supplier, quiet["sftp_location"])
    exports = mortal.home / "exports"
    assert len([path for path in exports.rglob("*") if path.is_file()]) == 2
