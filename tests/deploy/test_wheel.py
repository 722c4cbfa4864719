"""The wheel works in a clean virtual environment: its command sets up a deployment and runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.tools import ROOT
from tests.ports import unused_port

pytestmark = pytest.mark.starts_processes
UV = Path(sys.executable).with_name("uv")
READY_SECONDS = 120


def uv(*arguments: str | Path) -> None:
    """Run uv. The test is skipped if the package registry cannot be reached."""
    ended = subprocess.run([UV, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if re.search(r"(?i)failed to (fetch|download)|error sending request|dns error", ended.stderr):
        pytest.skip(f"the packages cannot be fetched: {ended.stderr[-300:]}")
    assert ended.returncode == 0, ended.stderr


def copy_of_the_source(folder: Path) -> Path:
    """Copy what a wheel is built from: the build writes files next to its source, which other tests would find."""
    folder.mkdir()
    for name in ("headend", "readings", "exports", "templates"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("Procfile", "pyproject.toml", "README.md", "LICENSE", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def headend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    constraints = ROOT / "requirements-build.lock"
    uv(
        "build", "--system-certs", "--wheel", "--out-dir", folder,
        "--build-constraints", constraints, "--require-hashes", copy_of_the_source(folder / "source"),
    )  # fmt: skip
    uv("venv", "--python", sys.executable, folder / "venv")
    install = ("pip", "install", "--system-certs", "--python", folder / "venv" / "bin" / "python")
    uv(*install, "--require-hashes", "-r", ROOT / "requirements.lock")
    [wheel] = folder.glob("*.whl")
    uv(*install, "--no-deps", wheel)
    return folder / "venv" / "bin" / "headend"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a small deployment. Nothing of the source tree is on the path of Python."""
    home = tmp_path_factory.mktemp("home")
    return {
        "PATH": os.environ["PATH"],
        "HEADEND_HOME": str(home),
        "HEADEND_PORT": str(unused_port()),
        "SFTP_PORT": str(unused_port()),
        "SIMULATION_DEVICES": "20",
        "WEB_WORKERS": "1",
    }


@pytest.fixture(scope="module")
def url(headend: Path, environment: dict[str, str]) -> Iterator[str]:
    """The URL of a running deployment that the wheel has set up and started."""
    folder = environment["HEADEND_HOME"]
    subprocess.run([headend, "setup"], cwd=folder, env=environment, check=True, capture_output=True)
    with subprocess.Popen(
        [headend, "run"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        killer = threading.Timer(READY_SECONDS, process.kill)
        killer.start()
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "apiGatewayInvokeURL" in line:
                break
        killer.cancel()
        # The output must be read, or the processes would wait for it.
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        try:
            assert "apiGatewayInvokeURL" in "".join(printed[-1:]), "".join(printed)
            yield f"http://localhost:{environment['HEADEND_PORT']}"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            reader.join()


def test_the_installed_deployment_is_ready(url: str) -> None:
    with urllib.request.urlopen(f"{url}/health/ready") as answer:
        assert set(json.load(answer).values()) == {"ok"}


def test_the_wheel_contains_pages_and_their_style_sheets(url: str) -> None:
    with urllib.request.urlopen(f"{url}/login/") as answer:
        page = answer.read().decode()
    [sheet] = re.findall(r'href="(/static/portal/theme\.\w+\.css)"', page)
    with urllib.request.urlopen(url + sheet) as answer:
        assert answer.status == 200


def test_the_help_shows_the_name_of_the_command(
    headend: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    shown = subprocess.run(
        [headend, "process", "--help"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.stdout.startswith("usage: headend process")
    assert "Example: headend process web" in " ".join(shown.stdout.split())
