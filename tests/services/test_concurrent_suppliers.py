"""Many suppliers use the API at the same time without errors. ``make stress`` does this with 200 for a minute."""

from __future__ import annotations

from pathlib import Path

from tests.services.cluster import Cluster, Servers
from tests.services.concurrent_suppliers import PAGE, POST, STATUS, measure_suppliers
from tests.services.file_requests import backfill


def test_suppliers_that_poll_page_and_request_files_at_the_same_time_get_no_errors(
    servers: Servers, tmp_path: Path
) -> None:
    cluster = Cluster(tmp_path / "cluster", servers, serves_files=False, extra={"WEB_WORKERS": "2"})
    try:
        cluster.set_up(backfill(hours=1))
        cluster.start()
        measurement = measure_suppliers(cluster, suppliers=20, seconds=3, hours=1, pause=0.2)
    finally:
        cluster.stop()
    measurement.check()
    # Not the measured times: on a busy machine few calls start within the three seconds.
    assert set(measurement.calls) == {POST, STATUS, PAGE}
    assert measurement.final_statuses["completed"] >= 20
