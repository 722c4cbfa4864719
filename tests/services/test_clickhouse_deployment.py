"""A deployment on ClickHouse: the contract of pages and files holds, and a server that fails is a 503."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests

from tests.deployment import ROOT, Deployment
from tests.services.clickhouse import PASSWORD, ClickHouseLocal

PAGE = "/readings?start_date=2023-02-27"
CONTRACT = ("tests/contract/test_readings.py", "tests/contract/test_files.py")
TIMEOUT_SECONDS = 120
SLOW = "SELECT sleepEachRow(0.1) FROM numbers(3000) SETTINGS max_block_size = 1"
RUNNING = (
    "SELECT count() FROM system.processes WHERE query LIKE '%numbers(3000)%'"
    " AND query NOT LIKE '%system.processes%'"
)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, starts_processes: None
) -> Iterator[ClickHouseLocal]:
    """A server that no other tests use, because a test here stops it."""
    with ClickHouseLocal(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="module")
def deployment(
    server: ClickHouseLocal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A deployment with the contract's fleet, an hour of its readings, and some of 2023. `setup` creates the table."""
    started = Deployment(
        tmp_path_factory.mktemp("deployment") / "home", {"READINGS_URL": server.url}
    )
    started.set_up(
        ("backfill", "--start", "2023-02-27", "--end", "2023-02-27 00:10", "--devices", "100"),
    )
    yield started.start()
    started.stop()


@pytest.fixture
def key(deployment: Deployment) -> str:
    """The default supplier's API key."""
    return str(deployment.outputs()["ApiKey"])


def get_page(
    deployment: Deployment, key: str, page_size: int = 10, timeout: float = TIMEOUT_SECONDS
) -> requests.Response:
    url = f"http://127.0.0.1:{deployment.http_port}{PAGE}&page_size={page_size}"
    return requests.get(url, headers={"Authorization": f"Token {key}"}, timeout=timeout)


def test_the_contract_of_pages_and_files_holds(deployment: Deployment) -> None:
    out = deployment.outputs()
    run = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CONTRACT,
            "--headend-url", out["apiGatewayInvokeURL"], "--headend-key", out["ApiKey"],
            "--headend-sftp", f"{out['SftpServerAddress']}:{out['SftpPort']}",
            "--headend-private-key", out["PrivateKeyFile"], "--headend-other-key", "unknown",
            # This one is about suppliers, and needs a second one.
            "-k", "not request_of_another_supplier",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout


def test_a_query_is_killed_when_its_caller_disconnects(
    deployment: Deployment, key: str, server: ClickHouseLocal
) -> None:
    server.substitute("LIMIT 18", SLOW)
    with pytest.raises(requests.Timeout):
        get_page(deployment, key, page_size=17, timeout=2)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while server.run(RUNNING) != "0\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert get_page(deployment, key).status_code == 200


def test_a_server_that_cannot_be_reached_is_a_503_until_it_is_back(
    deployment: Deployment, key: str, server: ClickHouseLocal
) -> None:
    before = get_page(deployment, key)
    assert before.status_code == 200
    server.kill()
    time.sleep(1.1)  # The snapshot of the last page is used for a second.
    response = get_page(deployment, key)
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert set(response.json()) == {"error"}
    assert deployment.wait_for_log("cannot be reached"), deployment.log
    server.start()
    assert get_page(deployment, key).json()["records"] == before.json()["records"]
    assert PASSWORD not in deployment.log
