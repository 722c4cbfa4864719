"""The example client, as a program, against a running deployment."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import requests

from tests.deployment import ROOT, Deployment


def test_the_program_copies_what_has_arrived_and_continues_where_it_was(
    running_deployment: Deployment, tmp_path: Path
) -> None:
    outputs = running_deployment.outputs()
    url, key = outputs["apiGatewayInvokeURL"], outputs["ApiKey"]
    database = tmp_path / "readings.sqlite3"
    printed = [run(url, key, database) for _ in range(2)]

    copy = sqlite3.connect(database)
    [(as_of,)] = copy.execute("SELECT as_of FROM last_pull").fetchall()
    page = requests.get(
        f"{url}/readings",
        {"start_date": "1970-01-01", "as_of": as_of, "page_size": "50000"},
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    ).json()
    expected = [(record["time"], record["device_id"], record["kw"]) for record in page["records"]]
    copied = copy.execute("SELECT time, device_id, kw FROM readings ORDER BY time, device_id")
    assert copied.fetchall() == expected
    counts = [int(text.split()[0].replace(",", "")) for text in printed]
    assert sum(counts) == len(expected) >= 11 * 200


def test_the_program_fails_with_one_line_if_the_key_is_wrong(
    running_deployment: Deployment, tmp_path: Path
) -> None:
    url = running_deployment.outputs()["apiGatewayInvokeURL"]
    ended = start(url, "hek_wrong", tmp_path / "readings.sqlite3")
    assert ended.returncode == 1
    assert ended.stderr.strip() == "The pull failed: HTTP Error 401: Unauthorized"


def start(url: str, key: str, database: Path) -> subprocess.CompletedProcess[str]:
    """Run the program once."""
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "synchronise.py"), url, str(database)],
        env=os.environ | {"HEADEND_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )


def run(url: str, key: str, database: Path) -> str:
    """Run the program, which must succeed, and return what it prints."""
    ended = start(url, key, database)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
