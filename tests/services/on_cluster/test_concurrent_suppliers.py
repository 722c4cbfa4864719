"""Many suppliers use the API at the same time without errors. ``make stress`` does this with 200 for a minute."""

from __future__ import annotations

from tests.services.cluster import Cluster
from tests.services.concurrent_suppliers import PAGE, POST, STATUS, measure_suppliers
from tests.services.on_cluster.conftest import HOURS


def test_suppliers_that_poll_page_and_request_files_at_the_same_time_get_no_errors(
    cluster: Cluster,
) -> None:
    measurement = measure_suppliers(cluster, suppliers=20, seconds=3, hours=HOURS, pause=0.2)
    measurement.check()
    # Not the measured times: on a busy machine few calls start within the three seconds.
    assert set(measurement.calls) == {POST, STATUS, PAGE}
    assert measurement.final_statuses["completed"] >= 20
