"""Brokers that are servers: they wake the workers, and are not needed for anything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.cluster import Cluster, Servers
from tests.services.orders import START, fill, mixed, place, wait
from tests.services.servers import Moto


@pytest.fixture
def cluster(servers: Servers, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """One worker and an hour of readings; a test's parameter names settings of its own."""
    extra: dict[str, str] = getattr(request, "param", {})
    if "CELERY_BROKER_URL" in extra:
        moto: Moto = request.getfixturevalue("moto_server")
        extra = {"CELERY_BROKER_URL": moto.url}
    started = Cluster(tmp_path / "cluster", servers, workers=1, extra=extra)
    started.set_up()
    fill(started, hours=1)
    started.start()
    yield started
    started.stop()


def test_a_request_is_accepted_while_the_broker_is_down_and_runs_when_it_is_back(
    cluster: Cluster,
) -> None:
    cluster.servers.valkey.kill()
    body = {"start_date": f"{START:%Y-%m-%d}", "end_date": f"{START:%Y-%m-%d %H:%M}"}
    accepted = cluster.call("POST", "/readings/file", json=body)
    assert (accepted.status_code, accepted.json()["status"]) == (200, "queued")
    assert cluster.call("GET", "/health/ready").status_code == 503

    cluster.servers.valkey.start()
    [answer] = wait(cluster, [accepted.json()["request_id"]], seconds=90)
    assert (answer["status"], answer["record_count"]) == ("completed", 2000)


@pytest.mark.parametrize("cluster", [{"CELERY_BROKER_URL": "sqs"}], indirect=True)
def test_sqs_wakes_the_workers(cluster: Cluster) -> None:
    orders = mixed(4, hours=1, seed=1)
    answers: list[dict[str, Any]] = wait(cluster, place(cluster, orders, run="sqs"), seconds=90)
    assert {answer["status"] for answer in answers} == {"completed"}
