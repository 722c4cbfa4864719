"""A home folder of version 1.0.0 works with the current version and keeps what it contains.

``home-1.0.0.tar.gz`` was recorded with :mod:`tests.upgrade.record_home`. It holds 240 readings, two
suppliers, three users besides the operator, two completed files, a delivery that needed two attempts, a
part whose worker was killed, and a queued request.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
import requests

from tests.deployment import ROOT, Deployment

pytestmark = pytest.mark.starts_processes

ARCHIVE = Path(__file__).with_name("home-1.0.0.tar.gz")
FINISH_SECONDS = 300


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment of the current version on a copy of the old home folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    upgraded = Deployment(tmp_path / "home", {"SIMULATION_DEVICES": "20"})
    yield upgraded
    upgraded.stop()


@pytest.fixture
def expected(deployment: Deployment) -> dict[str, Any]:
    """What the old version said about its home folder."""
    recorded: dict[str, Any] = json.loads(deployment.home.with_name("expected.json").read_text())
    return recorded


def summary_of(deployment: Deployment, api_key: str) -> dict[str, Any]:
    """Return what the current version says about the home folder."""
    printed = subprocess.run(
        [sys.executable, "-m", "tests.upgrade.summary", api_key],
        cwd=ROOT,
        env=deployment.environment | {"DJANGO_SETTINGS_MODULE": "headend.settings"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def test_setup_keeps_readings_requests_keys_users_and_deliveries(
    deployment: Deployment, expected: dict[str, Any]
) -> None:
    secrets = deployment.home / "secrets"
    before = {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()}
    printed = deployment.manage_each(("setup",), ("setup",))
    assert all("20 meters, every 5 minutes, uniform\n" in each for each in printed)
    found = summary_of(deployment, expected["acme_api_key"])
    own = [pk for pk, request in expected["requests"].items() if request[0] == "acme"]
    assert found.pop("listed") == sorted(own)
    expected.pop("acme_api_key")
    # The old version stored a new private key until its download; the keys of suppliers are in the summary.
    expected.pop("hand_overs")
    assert found == expected
    assert {path: path.read_bytes() for path in before} == before


def test_a_running_deployment_serves_old_files_and_finishes_old_requests(
    deployment: Deployment, expected: dict[str, Any]
) -> None:
    deployment.start()
    url = deployment.outputs()["apiGatewayInvokeURL"]
    headers = {"Authorization": f"Token {expected['acme_api_key']}"}
    page = requests.get(
        f"{url}/readings", {"start_date": "2020-01-01"}, headers=headers, timeout=30
    )
    assert page.json()["records"][0]["time"] == expected["first_time"]
    for pk, (supplier, status, _, _, _, sha256, location) in expected["requests"].items():
        if supplier == "acme":
            finished = wait_until_completed(f"{url}/readings/file?request_id={pk}", headers)
            content = requests.get(finished["download_url"], timeout=30).content
            assert hashlib.sha256(content).hexdigest() == (sha256 or finished["sha256"])
        elif status == "completed":
            assert hashlib.sha256(fetch(deployment, location)).hexdigest() == sha256


def wait_until_completed(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the status of a file request once it is completed."""
    deadline = time.monotonic() + FINISH_SECONDS
    while True:
        status: dict[str, Any] = requests.get(url, headers=headers, timeout=30).json()
        if status["status"] == "completed":
            return status
        assert status["status"] != "failed", status
        assert time.monotonic() < deadline, status
        time.sleep(0.2)


def fetch(deployment: Deployment, location: str) -> bytes:
    """Download the default supplier's file over SFTP with the old private key."""
    key = paramiko.RSAKey.from_private_key_file(
        os.fspath(deployment.home / "secrets" / "headend" / "sftp" / "private_key")
    )
    with paramiko.Transport(("127.0.0.1", deployment.sftp_port)) as transport:
        transport.connect(username="sftp-user", pkey=key)
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        with sftp, sftp.open(location, "rb") as file:
            return file.read()
