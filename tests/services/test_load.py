"""Suppliers who call all at once meet no errors; `make stress` does the same with 200 of them for a minute."""

from __future__ import annotations

from pathlib import Path

from tests.services.cluster import Cluster, Servers
from tests.services.load import PAGE, POST, STATUS, load
from tests.services.orders import fill


def test_suppliers_who_poll_page_and_order_at_once_meet_no_errors(
    servers: Servers, tmp_path: Path
) -> None:
    cluster = Cluster(tmp_path / "cluster", servers, extra={"WEB_WORKERS": "2"})
    try:
        cluster.set_up()
        fill(cluster, hours=1)
        cluster.start()
        measured = load(cluster, suppliers=20, seconds=5, hours=1, pause=0.2)
    finally:
        cluster.stop()
    measured.check()
    assert set(measured.seconds) == {POST, STATUS, PAGE}
    assert measured.ended["completed"] >= 20
