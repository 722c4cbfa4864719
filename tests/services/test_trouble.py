"""Nothing is lost and nothing shows half, whatever happens; `make stress` does the same with more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.services.cluster import Cluster, Servers
from tests.services.doubling import Doubling
from tests.services.fault_proxy import Fault, FaultProxy
from tests.services.killing import Killing
from tests.services.orders import fill, in_trouble_and_in_quiet, mixed

HOURS = 12

Build = Callable[..., Cluster]


@pytest.fixture
def build(servers: Servers, tmp_path: Path) -> Iterator[Build]:
    """Makes a cluster with half a day of readings to export."""
    built: list[Cluster] = []

    def with_settings(**extra: str) -> Cluster:
        cluster = Cluster(tmp_path / "cluster", servers, extra=extra)
        built.append(cluster)
        cluster.set_up()
        fill(cluster, hours=HOURS)
        return cluster

    yield with_settings
    for cluster in built:
        cluster.stop()


def test_whatever_is_killed_every_request_ends_as_in_quiet(build: Build) -> None:
    cluster = build()
    cluster.start()
    killing = Killing(cluster, kills=12, seed=1, pause=1.0)
    orders = mixed(16, hours=HOURS, seed=1)
    outcome = in_trouble_and_in_quiet(cluster, orders, killing, pause=0.6)
    assert killing.killed.total() == 12
    outcome.check()


def test_whatever_the_bucket_does_every_request_ends_as_in_quiet(
    build: Build, servers: Servers
) -> None:
    with FaultProxy(servers.seaweedfs.endpoint, share=0.1, seed=1, hang_seconds=2) as proxy:
        prefix = "faults/data/sftp"
        cluster = build(EXPORTS_URL=servers.seaweedfs.url_by(proxy.url, prefix))
        cluster.prefix = prefix
        cluster.start()
        orders = mixed(16, hours=HOURS, seed=2)
        outcome = in_trouble_and_in_quiet(cluster, orders, nullcontext(), pause=0)
        assert set(proxy.faults) == set(Fault)
    outcome.check()


def test_messages_that_come_twice_late_and_out_of_order_change_nothing(
    build: Build, servers: Servers
) -> None:
    cluster = build()
    doubling = Doubling(servers.valkey, seed=1)
    broker = {
        "CELERY_BROKER_READ_URL": doubling.delivered_url,
        "CELERY_BROKER_WRITE_URL": doubling.sent_url,
    }
    cluster.start(web=broker, beat=broker, worker=broker)
    doubling.start()
    orders = mixed(16, hours=HOURS, seed=3)
    outcome = in_trouble_and_in_quiet(cluster, orders, nullcontext(), pause=0)
    outcome.check()

    attempts = cluster.attempts()
    doubling.deliver_what_was_kept()
    doubling.stop()
    assert doubling.counted["after all was done"] > 16
    assert cluster.attempts() == attempts
    outcome.check()
