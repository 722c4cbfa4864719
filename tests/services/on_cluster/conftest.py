"""One cluster for all tests of this folder, because starting it takes more processor time than disturbing it.

It reaches the bucket through :class:`FaultProxy`, and its messages pass :class:`MessageDuplicator`. Both change nothing
until a test switches them on. The tests are one group (``tests/scheduling.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.cluster import Cluster, Servers
from tests.services.fault_proxy import FaultProxy
from tests.services.file_requests import backfill
from tests.services.message_duplicator import MessageDuplicator

HOURS = 12
"""The cluster has the readings of these hours."""


@pytest.fixture(scope="package")
def proxy(servers: Servers) -> Iterator[FaultProxy]:
    """The proxy between the cluster and the bucket."""
    with FaultProxy(servers.seaweedfs.endpoint, share=0, seed=1, hang_seconds=2) as proxy:
        yield proxy


@pytest.fixture(scope="package")
def duplicator(servers: Servers) -> Iterator[MessageDuplicator]:
    """The program that moves all messages of the cluster from the senders to the receivers."""
    duplicator = MessageDuplicator(servers.valkey, seed=1, duplicates=False)
    duplicator.start()
    yield duplicator
    duplicator.stop()


@pytest.fixture(scope="package")
def cluster(
    servers: Servers,
    proxy: FaultProxy,
    duplicator: MessageDuplicator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """A running cluster with two web processes and two workers."""
    folder = tmp_path_factory.mktemp("cluster") / "cluster"
    cluster = Cluster(folder, servers, extra={"WEB_WORKERS": "2"})
    cluster.set_up(backfill(hours=HOURS))
    settings = {
        "EXPORTS_URL": servers.seaweedfs.url_by(proxy.url, cluster.prefix),
        "CELERY_BROKER_READ_URL": duplicator.delivered_url,
        "CELERY_BROKER_WRITE_URL": duplicator.sent_url,
    }
    cluster.start(**dict.fromkeys(("web", "beat", "worker", "sftp", "deliveries"), settings))
    yield cluster
    cluster.stop()
