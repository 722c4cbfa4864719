"""A deployment on Timestream whose service fails: what its callers see, and what becomes of the queries."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import requests

from tests.deployment import Deployment
from tests.services.servers import AWS
from tests.services.timestream import TimestreamLocal

PAGE = "/readings?start_date=2023-02-27"
SECONDS = 30


@pytest.fixture(scope="module")
def deployment(
    timestream: TimestreamLocal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """All processes; no fleet sends."""
    home = tmp_path_factory.mktemp("failures") / "home"
    url = timestream.url_of("failures", "readings")
    made = Deployment(home, {**AWS, "READINGS_URL": url, "SIMULATION": "off"})
    made.manage("timestream", "create", "--magnetic-days", "73000")
    made.manage(
        "backfill", "--start", "2023-02-27", "--end", "2023-02-27 00:30", "--devices", "100"
    )
    made.start()
    yield made
    made.stop()
    made.manage("timestream", "destroy", "--yes")


@pytest.fixture
def key(deployment: Deployment) -> dict[str, str]:
    """The default supplier's key, as a header."""
    return {"Authorization": f"Token {deployment.outputs()['ApiKey']}"}


def page(deployment: Deployment, key: dict[str, str]) -> requests.Response:
    url = f"http://127.0.0.1:{deployment.http_port}{PAGE}"
    return requests.get(url, headers=key, timeout=SECONDS)


@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "AccessDeniedException", "ValidationException"]
)
def test_a_failing_service_is_a_503_and_a_line_for_the_operator(
    deployment: Deployment, key: dict[str, str], timestream: TimestreamLocal, code: str
) -> None:
    timestream.fail("Query", code, times=1)
    answer = page(deployment, key)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert set(answer.json()) == {"error"}
    assert code not in answer.text
    assert deployment.comes_to_say(code), deployment.log


def test_a_service_that_is_throttling_is_waited_for(
    deployment: Deployment, key: dict[str, str], timestream: TimestreamLocal
) -> None:
    timestream.fail("Query", "ThrottlingException", times=3)
    answer = page(deployment, key)
    assert (answer.status_code, len(answer.json()["records"])) == (200, 10)


def test_the_query_of_a_caller_that_has_hung_up_is_cancelled(
    deployment: Deployment, key: dict[str, str], timestream: TimestreamLocal
) -> None:
    timestream.cancelled()
    timestream.fail("Query", "StillRunning", times=1_000)
    with socket.create_connection(("127.0.0.1", deployment.http_port), timeout=SECONDS) as caller:
        call = f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key['Authorization']}\r\n\r\n"
        caller.sendall(call.encode())
        time.sleep(1)
        assert timestream.cancelled() == []
    deadline = time.monotonic() + SECONDS
    cancelled: list[str] = []
    while not cancelled:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        cancelled = timestream.cancelled()
    timestream.fail("Query", "StillRunning", times=0)
    assert '"failures"."readings"' in cancelled[0]
    assert page(deployment, key).status_code == 200
