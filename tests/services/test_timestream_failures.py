"""Timestream fails: the API answers with the right status, and abandoned queries are cancelled."""

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
TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def deployment(
    timestream: TimestreamLocal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The web server of a deployment on Timestream, with readings of 100 meters."""
    home = tmp_path_factory.mktemp("failures") / "home"
    url = timestream.url_of("failures", "readings")
    started = Deployment(home, {**AWS, "READINGS_URL": url, "SIMULATION": "off"})
    started.set_up(
        ("timestream", "create", "--magnetic-days", "73000"),
        ("backfill", "--start", "2023-02-27", "--end", "2023-02-27 00:30", "--devices", "100"),
    )
    yield started.start_web_server()
    started.stop()


@pytest.fixture
def headers(deployment: Deployment) -> dict[str, str]:
    """The header with the default supplier's API key."""
    return {"Authorization": f"Token {deployment.outputs()['ApiKey']}"}


def get_page(deployment: Deployment, headers: dict[str, str]) -> requests.Response:
    url = f"http://127.0.0.1:{deployment.http_port}{PAGE}"
    return requests.get(url, headers=headers, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "AccessDeniedException", "ValidationException"]
)
def test_an_error_of_timestream_is_a_503_for_the_caller_and_logged_with_its_code(
    deployment: Deployment, headers: dict[str, str], timestream: TimestreamLocal, code: str
) -> None:
    timestream.fail("Query", code, times=1)
    response = get_page(deployment, headers)
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert set(response.json()) == {"error"}
    assert code not in response.text
    assert deployment.wait_for_log(code), deployment.log


def test_a_throttled_query_is_retried_until_it_succeeds(
    deployment: Deployment, headers: dict[str, str], timestream: TimestreamLocal
) -> None:
    timestream.fail("Query", "ThrottlingException", times=3)
    response = get_page(deployment, headers)
    assert (response.status_code, len(response.json()["records"])) == (200, 10)


def test_a_query_is_cancelled_when_its_caller_disconnects(
    deployment: Deployment, headers: dict[str, str], timestream: TimestreamLocal
) -> None:
    timestream.cancelled()
    timestream.fail("Query", "StillRunning", times=1_000)
    with socket.create_connection(
        ("127.0.0.1", deployment.http_port), timeout=TIMEOUT_SECONDS
    ) as caller:
        call = f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {headers['Authorization']}\r\n\r\n"
        caller.sendall(call.encode())
        time.sleep(1)
        assert timestream.cancelled() == []
    deadline = time.monotonic() + TIMEOUT_SECONDS
    cancelled: list[str] = []
    while not cancelled:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        cancelled = timestream.cancelled()
    timestream.fail("Query", "StillRunning", times=0)
    assert '"failures"."readings"' in cancelled[0]
    assert get_page(deployment, headers).status_code == 200
