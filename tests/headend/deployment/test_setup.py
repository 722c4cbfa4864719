"""``manage.py setup`` creates what the processes need, once."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from tests.deployment import Deployment, share_set_up
from tests.services.servers import AWS, SeaweedFS
from tests.services.timestream import TimestreamLocal

pytestmark = pytest.mark.starts_processes


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """A deployment whose home folder does not exist yet."""
    return Deployment(tmp_path / "home", {"SIMULATION_DEVICES": "50"})


def files_for_others(home: Path) -> list[Path]:
    """Return what other users of the machine may use, except static files: every caller can fetch them over HTTP."""
    found = [path for path in [home, *home.rglob("*")] if path.lstat().st_mode & 0o077]
    return [path for path in found if not path.is_relative_to(home / "static")]


def test_setup_creates_what_is_missing_and_changes_nothing_else(deployment: Deployment) -> None:
    outputs = ("outputs", "--json")
    first, printed, again, printed_again = deployment.manage_each(
        ("setup",), outputs, ("setup",), outputs
    )
    assert "12 intervals, 600 new readings" in first
    assert "50 meters, every 5 minutes, mixed\n" in first
    assert "new readings" not in again
    assert [line.split()[1] for line in again.splitlines()] == [
        "home", "database", "supplier", "operator", "fleet", "readings"
    ]  # fmt: skip
    assert printed_again == printed
    assert files_for_others(deployment.home) == []


def test_setup_says_that_another_table_of_readings_is_used_from_now_on(
    deployment: Deployment, tmp_path: Path
) -> None:
    share_set_up(deployment.home)
    with closing(sqlite3.connect(deployment.home / "headend.sqlite3")) as database, database:
        database.execute("INSERT INTO readings_describedtable VALUES (1, 'delta first')")
    deployment.extra |= {"SIMULATION": "no", "READINGS_URL": f"delta://{tmp_path}/other"}
    refused = deployment.manage("setup", check=False)
    assert "other does not exist" in refused.stderr
    deployment.manage("store", "create")
    ended = deployment.manage("setup")
    [line] = [line for line in ended.stderr.splitlines() if "READINGS_URL" in line]
    assert "another table of readings than before" in line


def test_a_missing_timestream_table_is_an_error_that_says_what_to_do(
    deployment: Deployment, timestream: TimestreamLocal
) -> None:
    share_set_up(deployment.home)
    deployment.extra["READINGS_URL"] = timestream.url_of(f"d-{uuid.uuid4().hex}", "readings")
    ended = deployment.manage("setup", check=False)
    assert ended.returncode == 1
    assert "manage.py timestream create" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_bucket_for_readings_is_an_error_that_says_what_to_do(
    deployment: Deployment, seaweedfs: SeaweedFS
) -> None:
    share_set_up(deployment.home)
    url = seaweedfs.readings_url("readings").replace("//headend/", "//missing/")
    deployment.extra |= {**AWS, "READINGS_URL": url}
    ended = deployment.manage("setup", check=False)
    assert ended.returncode == 1
    [line] = [line for line in ended.stderr.splitlines() if "READINGS_URL" in line]
    assert "the bucket does not exist; create it, or correct the URL" in line
    assert "Traceback" not in ended.stderr


def test_an_unreachable_bucket_for_exports_is_an_error_that_says_what_to_do(
    deployment: Deployment,
) -> None:
    url = "s3://exports/sftp?region=us-east-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    deployment.extra |= {**AWS, "EXPORTS_URL": url}
    ended = deployment.manage("setup", check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "headend: EXPORTS_URL: the server cannot be reached, or does not answer; check endpoint_url and the network.\n"
    )
