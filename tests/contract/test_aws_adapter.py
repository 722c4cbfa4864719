"""The flow of AWS's meter-data adapter, against a deployment with ``HEADEND_COMPATIBILITY=aws``.

The adapter sends no key and no Content-Type, polls until the request is final, loads the private key as RSA, and
decompresses the whole file at once.
"""

from __future__ import annotations

import csv
import http.client
import io
import json
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paramiko
import pytest

from tests.deployment import Deployment

pytestmark = pytest.mark.starts_processes

METERS = 200
TIMEOUT_SECONDS = 300


@pytest.fixture(scope="module")
def for_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment for AWS's clients, on a free SFTP port instead of port 22."""
    extra = {"HEADEND_COMPATIBILITY": "aws", "SIMULATION_DEVICES": str(METERS)}
    started = Deployment(tmp_path_factory.mktemp("aws") / "home", extra).start()
    yield started
    started.stop()


def call(deployment: Deployment, method: str, path: str, body: str | None = None) -> Any:
    """Return the JSON of a call that has no header besides Host and Content-Length."""
    connection = http.client.HTTPConnection("localhost", deployment.http_port, timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content)
    finally:
        connection.close()


def request_window(deployment: Deployment, start: datetime, end: datetime) -> dict[str, Any]:
    """Request a window, poll as the adapter does, and return the final status."""
    body = json.dumps(
        {"start_date": f"{start:%Y-%m-%d %H:%M:%S}", "end_date": f"{end:%Y-%m-%d %H:%M:%S}"}
    )
    request_id = call(deployment, "POST", "/readings/file", body)["request_id"]
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        status: dict[str, Any] = call(deployment, "GET", f"/readings/file?request_id={request_id}")
        if status["status"] not in ("queued", "submitted", "running"):
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.1)


def test_a_past_window_arrives_as_a_file_that_can_be_decompressed_at_once(
    for_aws: Deployment,
) -> None:
    now = datetime.now(UTC)
    status = request_window(for_aws, now - timedelta(minutes=50), now - timedelta(minutes=10))
    assert status["status"] == "completed"

    outputs = for_aws.outputs()
    key = paramiko.RSAKey.from_private_key(io.StringIO(Path(outputs["PrivateKeyFile"]).read_text()))
    packed = io.BytesIO()
    with paramiko.Transport(("localhost", for_aws.sftp_port)) as transport:
        transport.connect(username=outputs["SftpUserName"], pkey=key)
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        sftp.getfo(status["sftp_location"], packed)

    text = zlib.decompress(packed.getvalue(), 16 + zlib.MAX_WBITS).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == status["record_count"]
    assert len(rows) in (8 * METERS, 9 * METERS)
    assert len({row["device_id"] for row in rows}) == METERS


def test_a_window_in_the_future_is_skipped_so_that_the_adapter_requests_it_again(
    for_aws: Deployment,
) -> None:
    now = datetime.now(UTC)
    status = request_window(for_aws, now + timedelta(hours=1), now + timedelta(hours=2))
    assert status["status"] == "skipped"
    assert "sftp_location" not in status


def test_the_start_says_which_settings_are_changed(for_aws: Deployment) -> None:
    assert for_aws.wait_for_log(
        "HEADEND_COMPATIBILITY is aws: HEADEND_ANONYMOUS_SUPPLIER is sftp-user,"
        f" EXPORTS_EMPTY_STATUS is skipped, SFTP_PORT is {for_aws.sftp_port}."
    )
