"""Two web and two worker processes behind nginx are restarted one after the other, and no caller notices it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

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
STEPS = ("planned", "completed")


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
            # As in a deployment. The shorter lease of other tests can expire on a busy machine before it is renewed, and
            # another worker then claims the step. That is not a fault of the restart.
            "EXPORTS_LEASE_SECONDS": "30",
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
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, cluster.log(name)
        time.sleep(0.1)


def wait_until_it_works(cluster: Cluster, callers: Callers, name: str) -> None:
    """Wait until a worker has completed a step: SIGTERM ends a worker that is still starting with another exit code."""
    deadline = time.monotonic() + READY_SECONDS
    while not (callers.failures or any(entry["message"] in STEPS for entry in logs(cluster, name))):
        assert time.monotonic() < deadline, cluster.log(name)
        time.sleep(0.1)


def logs(cluster: Cluster, name: str) -> list[dict[str, str]]:
    """Return what a process has logged."""
    lines = (cluster.folder / f"{name}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def logged(cluster: Cluster, message: str) -> Counter[str]:
    """Return how often the workers have logged ``message``, by file request."""
    entries = [*logs(cluster, "worker0"), *logs(cluster, "worker1")]
    return Counter(entry["request"] for entry in entries if entry["message"] == message)


def attempts(cluster: Cluster) -> set[int]:
    """Return the numbers of attempts of the last step of each request, and of all parts."""
    return {attempts for _, attempts, _ in cluster.attempts()}


def reasons(cluster: Cluster) -> str:
    """Return what the workers have logged about steps that they began and did not complete."""
    entries = [*logs(cluster, "worker0"), *logs(cluster, "worker1")]
    return "\n".join(str(entry) for entry in entries if entry["message"] not in STEPS)


def test_no_call_fails_and_no_step_runs_twice_while_each_process_restarts(
    cluster: Cluster, proxy: Nginx
) -> None:
    bodies = mixed_bodies(20, hours=HOURS, seed=5)
    with Callers(cluster, proxy.certificate, bodies) as callers:
        callers.wait_for_more(10)
        for name in RESTARTED:
            if name.startswith("worker"):
                wait_until_it_works(cluster, callers, name)
            assert cluster.members[name].restart() == os.EX_OK, cluster.log(name)
            if name.startswith("web"):
                wait_until_ready(cluster, name)
            callers.wait_for_more(5)
            assert callers.failures == []
    assert callers.failures == []
    assert len(callers.files) >= len(RESTARTED)
    once = dict.fromkeys(callers.files, 1)
    assert logged(cluster, "planned") == once
    assert logged(cluster, "completed") == once
    assert attempts(cluster) == {1}, reasons(cluster)
    keys = list_keys(cluster.servers.seaweedfs.client(), f"{cluster.prefix}/")
    assert Counter(key.split("/")[-2] for key in keys) == once
