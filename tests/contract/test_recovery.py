"""An export whose worker is killed completes later, with the same file."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import Supplier
from tests.contract.test_files import fetch, poll_until_final
from tests.deployment import Deployment

pytestmark = pytest.mark.starts_processes

WINDOW = {"start_date": "2023-02-27 00:00:00", "end_date": "2023-02-27 05:00:00"}


@pytest.fixture
def own_deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment with five hours of readings. The test kills its worker, so no other test uses it."""
    # With the default of 30 seconds, the test would wait so long for the lease of the killed worker to end.
    extra = {"SIMULATION": "off", "SIMULATION_DEVICES": "15000", "EXPORTS_LEASE_SECONDS": "5"}
    started = Deployment(tmp_path / "home", extra).start()
    started.manage("backfill", "--start", WINDOW["start_date"], "--end", WINDOW["end_date"])
    yield started
    started.stop()


def supplier_of(deployment: Deployment) -> Supplier:
    """Return the default supplier of the deployment."""
    out = deployment.outputs()
    return Supplier(
        out["apiGatewayInvokeURL"], out["ApiKey"], out["SftpServerAddress"], out["SftpPort"],
        out["SftpUserName"], Path(out["PrivateKeyFile"]),
    )  # fmt: skip


def test_an_export_completes_with_the_same_file_after_its_worker_was_killed(
    own_deployment: Deployment,
) -> None:
    supplier = supplier_of(own_deployment)
    request_id = supplier.request_file(**WINDOW)
    while supplier.get("/readings/file", request_id=request_id)["status"] in (
        "queued",
        "submitted",
    ):
        time.sleep(0.01)
    os.kill(own_deployment.started("worker")[0], signal.SIGKILL)
    assert own_deployment.wait_for_log("worker was killed by SIGKILL; it starts again")
    killed = poll_until_final(supplier, request_id)
    assert killed[0]["status"] == "running"
    quiet = poll_until_final(supplier, supplier.request_file(**WINDOW))[-1]
    assert killed[-1]["record_count"] == quiet["record_count"] == 61 * 15_000
    assert killed[-1]["sha256"] == quiet["sha256"]
    assert fetch(supplier, killed[-1]["sftp_location"]) == fetch(supplier, quiet["sftp_location"])
    exports = own_deployment.home / "exports"
    assert len([path for path in exports.rglob("*") if path.is_file()]) == 2
