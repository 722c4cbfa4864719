"""The broker wakes the workers. Nothing else depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headend.config.service_urls import READ_TIMEOUT_SECONDS
from tests.services.cluster import Cluster, Servers
from tests.services.file_requests import (
    START,
    backfill,
    create_requests,
    mixed_bodies,
    wait_until_final,
)
from tests.services.servers import Moto


@pytest.fixture
def cluster_on_sqs(servers: Servers, moto_server: Moto, tmp_path: Path) -> Iterator[Cluster]:
    """A running cluster with SQS, one worker and an hour of readings."""
    extra = {"CELERY_BROKER_URL": moto_server.url}
    cluster = Cluster(tmp_path / "cluster", servers, workers=1, serves_files=False, extra=extra)
    try:
        cluster.set_up(backfill(hours=1))
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_a_file_request_is_accepted_without_a_broker_and_runs_when_the_broker_is_back(
    cluster: Cluster,
) -> None:
    cluster.servers.valkey.kill()
    body = {"start_date": f"{START:%Y-%m-%d}", "end_date": f"{START:%Y-%m-%d %H:%M}"}
    accepted = cluster.call("POST", "/readings/file", json=body)
    assert (accepted.status_code, accepted.json()["status"]) == (200, "queued")
    assert cluster.call("GET", "/health/ready").status_code == 503

    cluster.servers.valkey.start()
    [status] = wait_until_final(cluster, [accepted.json()["request_id"]], seconds=90)
    assert (status["status"], status["record_count"]) == ("completed", 2000)


def test_a_file_request_is_accepted_while_the_broker_hangs_and_runs_afterwards(
    cluster: Cluster,
) -> None:
    body = {"start_date": f"{START:%Y-%m-%d}", "end_date": f"{START:%Y-%m-%d %H:%M}"}
    cluster.servers.valkey.pause()
    try:
        # The broker does not answer before the test lets it, so only the web process can end the wait.
        accepted = [cluster.call("POST", "/readings/file", json=body) for _ in range(3)]
    finally:
        cluster.servers.valkey.resume()
    assert [(a.status_code, a.json()["status"]) for a in accepted] == [(200, "queued")] * 3
    assert max(a.elapsed.total_seconds() for a in accepted) < READ_TIMEOUT_SECONDS / 2
    statuses = wait_until_final(cluster, [a.json()["request_id"] for a in accepted], seconds=90)
    assert [s["record_count"] for s in statuses] == [2000] * 3


def test_sqs_wakes_the_workers(cluster_on_sqs: Cluster) -> None:
    ids = create_requests(cluster_on_sqs, mixed_bodies(4, hours=1, seed=1), run="sqs")
    statuses: list[dict[str, Any]] = wait_until_final(cluster_on_sqs, ids, seconds=90)
    assert {status["status"] for status in statuses} == {"completed"}
