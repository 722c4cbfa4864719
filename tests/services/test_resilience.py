"""No request is lost and no partial file is ever visible. ``make stress`` repeats these tests with more requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.services.cluster import Cluster, Servers
from tests.services.fault_proxy import Fault, FaultProxy
from tests.services.file_requests import backfill, compare_runs, mixed_bodies
from tests.services.message_duplicator import MessageDuplicator
from tests.services.process_killer import ProcessKiller

HOURS = 12
REQUESTS = 10

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def make_cluster(servers: Servers, tmp_path: Path) -> Iterator[MakeCluster]:
    """A function that returns a cluster with half a day of readings. The test starts it."""
    clusters: list[Cluster] = []

    def make_cluster(**extra: str) -> Cluster:
        cluster = Cluster(tmp_path / "cluster", servers, extra=extra)
        clusters.append(cluster)
        cluster.set_up(backfill(hours=HOURS))
        return cluster

    yield make_cluster
    for cluster in clusters:
        cluster.stop()


def test_file_requests_complete_with_the_same_files_while_processes_are_killed(
    make_cluster: MakeCluster,
) -> None:
    cluster = make_cluster()
    cluster.start()
    killer = ProcessKiller(cluster, kills=8, seed=1, pause=1.0)
    bodies = mixed_bodies(REQUESTS, hours=HOURS, seed=1)
    comparison = compare_runs(cluster, bodies, killer, pause=0.6)
    assert killer.killed.total() == 8
    comparison.check()


def test_file_requests_complete_with_the_same_files_while_calls_to_the_bucket_fail(
    make_cluster: MakeCluster, servers: Servers
) -> None:
    with FaultProxy(servers.seaweedfs.endpoint, share=0.1, seed=1, hang_seconds=2) as proxy:
        prefix = "faults/data/sftp"
        cluster = make_cluster(EXPORTS_URL=servers.seaweedfs.url_by(proxy.url, prefix))
        cluster.prefix = prefix
        cluster.start()
        bodies = mixed_bodies(REQUESTS, hours=HOURS, seed=2)
        comparison = compare_runs(cluster, bodies, nullcontext(), pause=0)
        assert set(proxy.faults) == set(Fault)
    comparison.check()


def test_messages_that_arrive_twice_late_and_out_of_order_change_nothing(
    make_cluster: MakeCluster, servers: Servers
) -> None:
    cluster = make_cluster()
    duplicator = MessageDuplicator(servers.valkey, seed=1)
    broker = {
        "CELERY_BROKER_READ_URL": duplicator.delivered_url,
        "CELERY_BROKER_WRITE_URL": duplicator.sent_url,
    }
    cluster.start(web=broker, beat=broker, worker=broker)
    duplicator.start()
    bodies = mixed_bodies(REQUESTS, hours=HOURS, seed=3)
    comparison = compare_runs(cluster, bodies, nullcontext(), pause=0)
    comparison.check()

    attempts = cluster.attempts()
    duplicator.deliver_again()
    duplicator.stop()
    assert duplicator.counted["delivered after all work was done"] > REQUESTS
    assert cluster.attempts() == attempts
    comparison.check()
