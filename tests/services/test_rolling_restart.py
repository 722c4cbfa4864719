"""Two web and two worker processes behind nginx are restarted one after the other, and no caller notices it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from tests.ports import unused_port
from tests.services.callers import Callers
from tests.services.cluster import READY_SECONDS, Cluster, Servers
from tests.services.file_requests import backfill, list_keys, mixed_bodies
from tests.services.nginx import Nginx, nginx_program

pytestmark = pytest.mark.skipif(
    nginx_program() is None, reason="nginx is not installed; `make deploy-check` installs it"
)

HOURS = 12
RESTARTED = ("web0", "worker0", "web1", "worker1", "beat")


@pytest.fixture
def proxy(tmp_path: Path, starts_processes: None) -> Iterator[Nginx]:
    """nginx with the example of ``deploy/nginx``, in front of two web processes."""
    with Nginx(tmp_path / "nginx", [unused_port(), unused_port()]) as nginx:
        yield nginx


@pytest.fixture
def cluster(tmp_path: Path, servers: Servers, proxy: Nginx) -> Iterator[Cluster]:
    """A running cluster behind the proxy."""
    cluster = Cluster(
        tmp_path / "cluster",
        servers,
        serves_files=False,
        web_ports=proxy.web_ports,
        extra={
            "HEADEND_PUBLIC_URL": proxy.url,
            # Workers log each step that they have completed.
            "LOG_LEVEL": "INFO",
            # On a busy machine, a worker may renew a lease seconds too late. Then another worker claims the step, and
            # the test could not tell this from a restart that loses the step.
            "EXPORTS_LEASE_SECONDS": "120",
        },
    )
    cluster.set_up(backfill(hours=HOURS))
    cluster.start()
    yield cluster
    cluster.stop()


def wait_until_ready(cluster: Cluster, name: str) -> None:
    """Wait until a web process that was restarted answers at its own port."""
    deadline = time.monotonic() + READY_SECONDS
    port = cluster.members[name].environment["HEADEND_PORT"]
    while True:
        try:
            if requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=30).ok:
                return
        except requests.ConnectionError:
            pass
        assert time.monotonic() < deadline, cluster.log(name)
        time.sleep(0.1)


def logged(cluster: Cluster, message: str) -> Counter[str]:
    """Return how often the workers have logged ``message``, by file request."""
    count: Counter[str] = Counter()
    for name in ("worker0", "worker1"):
        for line in (cluster.folder / f"{name}.log").read_text().splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("message") == message:
                count[entry["request"]] += 1
    return count


def attempts_of_parts(cluster: Cluster) -> set[int]:
    """Return the numbers of attempts of all parts."""
    with psycopg.connect(cluster.environment["DATABASE_URL"]) as connection:
        return {count for (count,) in connection.execute("SELECT attempts FROM exports_exportpart")}


def test_no_call_fails_and_no_step_runs_twice_while_each_process_restarts(
    cluster: Cluster, proxy: Nginx
) -> None:
    bodies = mixed_bodies(20, hours=HOURS, seed=5)
    with Callers(cluster, proxy.certificate, bodies) as callers:
        callers.wait_for_more(10)
        for name in RESTARTED:
            assert cluster.members[name].restart() == os.EX_OK, cluster.log(name)
            if name.startswith("web"):
                wait_until_ready(cluster, name)
            callers.wait_for_more(5)
            assert callers.failures == []
    assert len(callers.files) >= len(RESTARTED)
    once = dict.fromkeys(callers.files, 1)
    assert logged(cluster, "planned") == once
    assert logged(cluster, "completed") == once
    assert attempts_of_parts(cluster) == {1}, cluster.log("worker0") + cluster.log("worker1")
    keys = list_keys(cluster.servers.seaweedfs.client(), f"{cluster.prefix}/")
    assert Counter(key.split("/")[-2] for key in keys) == once
