"""The commands in the README and in the suppliers' guide, run against a deployment as they are written."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import ROOT, Deployment

COMPLETED_SECONDS = 300
DOWNLOADED = "readings.csv.gz"
EXAMPLE_READING: tuple[str | Any, ...] = (
    "2026-11-23 11:30",
    "0001b33e-0898-33a6-ac1d-82b59b904034",
)
EXAMPLE_REQUEST_ID = "cbbf6adf-dd0d-4d4d-b78e-5c48d9cbdcf1"


class Terminal:
    """A terminal in which the documentation's commands run, with this deployment's addresses and paths."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment = deployment
        self._folder = folder
        self._variables: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        """Set a shell variable for the commands that follow."""
        self._variables[name] = value

    def run(self, command: str) -> str:
        """Run a command and return what it printed. Its variables stay set for the next command."""
        for written, actual in (
            ("localhost:8000", f"localhost:{self._deployment.http_port}"),
            ("-P 2222", f"-P {self._deployment.sftp_port}"),
            ("var/", f"{self._deployment.home}/"),
            (".venv/bin/python manage.py", f"{sys.executable} {ROOT}/manage.py"),
        ):
            command = command.replace(written, actual)
        script = f"set -e\n{command}\necho; echo ----; for name in KEY SINCE NOW REQUEST; do echo ${{!name}}; done"
        finished = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._deployment.environment | self._variables,
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
        printed, _, values = finished.stdout.rpartition("\n----\n")
        for name, value in zip(
            ("KEY", "SINCE", "NOW", "REQUEST"), values.splitlines(), strict=True
        ):
            if value:
                self._variables[name] = value
        return printed


@pytest.fixture
def terminal(running_deployment: Deployment, tmp_path: Path) -> Terminal:
    """A terminal in an empty folder."""
    return Terminal(running_deployment, tmp_path)


def commands_in(text: str) -> list[str]:
    """Return the shell commands of the console blocks in a text, joined over their continuation lines."""
    commands = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for command in re.findall(r"(?m)^\$ ((?:.*\\\n)*.*)$", block):
            commands.append(command)
    return commands


def wait_until_completed(terminal: Terminal, status: str) -> str:
    """Repeat the command that gets the status of a file request, and return the answer of the completed one."""
    deadline = time.monotonic() + COMPLETED_SECONDS
    while '"status":"completed"' not in (answer := terminal.run(status)):
        assert time.monotonic() < deadline, answer
        time.sleep(0.5)
    return answer


def test_the_first_file_in_five_minutes(terminal: Terminal, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## The first file") : readme.index("## Where to go next")]
    key, since, now, page, request, status, fetch, tour = commands_in(section)
    for command in (key, since, now):
        terminal.run(command)
    assert '"records_total": 1' in terminal.run(page)
    terminal.run(request)
    wait_until_completed(terminal, status)
    terminal.run(fetch)
    [file] = tmp_path.glob("*.gz")
    assert subprocess.run(["gzip", "-t", os.fspath(file)]).returncode == 0
    assert "are the same in the pages and in the file" in terminal.run(tour)


def test_the_calls_in_the_suppliers_guide(
    terminal: Terminal, running_deployment: Deployment, tmp_path: Path
) -> None:
    guide = (ROOT / "docs" / "suppliers.md").read_text()
    calls = [command for command in commands_in(guide) if command.startswith("curl")]
    outputs = running_deployment.outputs()
    terminal.set("URL", outputs["apiGatewayInvokeURL"])
    terminal.set("KEY", outputs["ApiKey"])
    request_id, reading = EXAMPLE_REQUEST_ID, EXAMPLE_READING
    for call in calls:
        command = call.replace(EXAMPLE_REQUEST_ID, request_id)
        if "/history" in call or "/latest" in call:
            # The deployment is younger than the example, and has other meters.
            for written, actual in zip(EXAMPLE_READING, reading, strict=True):
                command = command.replace(written, actual)
        if "$DOWNLOAD_URL" in call:
            download_twice(terminal, command, tmp_path / DOWNLOADED)
        elif call.startswith('curl -s "$URL/readings/file?'):
            answer = wait_until_completed(terminal, command)
            [url] = re.findall(r'"download_url":"([^"]+)"', answer)
            terminal.set("DOWNLOAD_URL", url)
        else:
            printed = terminal.run(command)
            assert "error" not in printed or "already" in printed, (call, printed)
            if shown := re.search(r'"time":"([^"]+)".*"device_id":"([^"]+)"', printed):
                reading = shown.groups()
            if request_id == EXAMPLE_REQUEST_ID and '"request_id"' in printed:
                [request_id] = re.findall(r'"request_id":"([0-9a-f-]{36})"', printed)
    assert request_id != EXAMPLE_REQUEST_ID
    assert reading != EXAMPLE_READING
    assert len(calls) == 13


def download_twice(terminal: Terminal, command: str, file: Path) -> None:
    """Download a file, and again after a part of it is missing: the command continues."""
    terminal.run(command)
    whole = file.read_bytes()
    assert gzip.decompress(whole).startswith(b"time,arrival_time,device_id")
    file.write_bytes(whole[:20])
    terminal.run(command)
    assert file.read_bytes() == whole
