"""The commands that start a local server for a trial: ``python -m tests.s3_local`` and others."""

from __future__ import annotations

import re
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from exports.stores import export_store
from headend.config import service_urls
from readings.repositories import open_store
from tests.ports import unused_port

COMMANDS = ["tests.s3_local", "tests.clickhouse_local", "tests.timestream_local"]
EXPORT = re.compile(r"(\w+)=(?:'([^']+)'|(\S+))")


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("folder", [[], ["--folder", "data"]])
def test_a_used_port_is_one_line(
    command: str,
    folder: list[str],
    used_port: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [command, "--port", str(used_port), *folder])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(command, run_name="__main__")
    assert ended.value.code == f"--port {used_port}: Address already in use. Choose another port."
    assert not list(tmp_path.iterdir())


def test_a_deployment_works_with_the_settings_that_the_s3_server_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings, starts_processes: None
) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.s3_local",
        "--port",
        str(unused_port()),
        "--folder",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline() for _ in range(4)]
            printed = {name: one or other for name, one, other in EXPORT.findall("".join(lines))}
            for name, value in printed.items():
                monkeypatch.setenv(name, value)
            assert "created" in open_store(printed["READINGS_URL"]).create()[0]
            exports = service_urls.exports_storage(printed["EXPORTS_URL"])
            settings.STORAGES = {**settings.STORAGES, "exports": exports}
            assert export_store().problem() is None
        finally:
            server.send_signal(signal.SIGTERM)
    assert server.returncode == 0
