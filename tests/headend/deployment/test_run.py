"""``manage.py run``: everything from an empty folder, and one Ctrl-C to end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.deployment import Deployment

KEYS = [
    "apiGatewayInvokeURL", "ApiKey", "SftpServerAddress", "SftpPort", "SftpUserName",
    "SecretName", "PrivateKeyFile", "OperatorURL",
]  # fmt: skip
SMALL = {"SIMULATION_DEVICES": "200"}


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Makes deployments in homes of their own, and ends what is left of them."""
    made: list[Deployment] = []

    def new(name: str = "home", **extra: str) -> Deployment:
        made.append(Deployment(tmp_path / name, SMALL | extra))
        return made[-1]

    yield new
    for deployment in made:
        deployment.stop()


def refusal(deployment: Deployment, *command: str) -> str:
    """What a command that must fail says: one line."""
    done = deployment.manage(*(command or ("run",)), check=False)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    [line] = done.stderr.strip().splitlines()
    return line


def test_a_first_run_makes_everything_and_a_second_prints_the_same(
    deploy: Callable[..., Deployment],
) -> None:
    first = deploy().start()
    out = first.outputs()
    assert list(out) == KEYS
    assert out["SecretName"] == "headend/sftp/private_key"
    assert out["SftpUserName"] == "sftp-user"
    assert Path(out["PrivateKeyFile"]).read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert Path(out["PrivateKeyFile"]).stat().st_mode & 0o777 == 0o600
    for value in out.values():
        assert str(value) in first.log
    kept = json.loads(first.manage("readings", "--json").stdout)
    assert kept["total"]["intervals"] >= 12
    assert kept["total"]["meters"] == 200

    assert first.interrupt() == 0
    assert first.processes() == {}
    first.start()
    assert first.outputs() == out
    assert first.log.count(out["ApiKey"]) % 2 == 0
    passwords = {line.split()[-1] for line in first.log.splitlines() if "operator / " in line}
    assert len(passwords) == 1
    assert (
        json.loads(first.manage("readings", "--json").stdout)["total"]["readings"]
        >= kept["total"]["readings"]
    )


def test_the_tour_finds_everything_as_the_guide_has_it(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy().start()
    toured = deployment.manage("tour")
    assert "every one of 400 readings is the same" in toured.stdout
    out = deployment.outputs()
    strange = deployment.manage("tour", "--key", "hek_wrong", check=False)
    assert strange.returncode == 1
    assert "answered 401" in strange.stderr
    assert out["ApiKey"] not in toured.stdout


def test_the_operator_logs_in_with_the_password_that_was_printed(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy().start()
    [line] = [line for line in deployment.log.splitlines() if "operator / " in line]
    with requests.Session() as browser:
        login = f"{deployment.outputs()['OperatorURL']}login/"
        browser.get(login, timeout=30)
        form = {"username": "operator", "password": line.split()[-1], "next": "/"}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        page = browser.post(login, form, headers={"Referer": login}, timeout=30)
    assert page.status_code == 200
    assert "File requests" in page.text


def test_two_deployments_run_side_by_side(deploy: Callable[..., Deployment]) -> None:
    one, other = deploy("one").start(), deploy("other").start()
    assert one.answers()
    assert other.answers()
    assert one.outputs()["ApiKey"] != other.outputs()["ApiKey"]
    other.interrupt()
    assert one.answers()


def test_a_home_in_use_is_one_line(deploy: Callable[..., Deployment]) -> None:
    running = deploy().start()
    second = Deployment(running.home, SMALL)
    assert "another deployment is running in" in refusal(second)
    assert running.answers()


def test_a_process_that_dies_ends_the_others(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy().start()
    [beat] = [
        pid for pid, line in deployment.processes().items() if " beat " in line and "celery" in line
    ]
    os.kill(beat, signal.SIGKILL)
    assert deployment.process is not None
    assert deployment.process.wait(30) != 0
    assert deployment.processes() == {}
    assert "beat stopped" in deployment.log


@pytest.mark.parametrize("setting", ["HEADEND_PORT", "SFTP_PORT"])
def test_a_taken_port_is_one_line(deploy: Callable[..., Deployment], setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(deploy(**{setting: str(port)}))
    assert setting in line
    assert f"127.0.0.1:{port}" in line


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("HEADEND_PORT", "eighty", "HEADEND_PORT is 'eighty'"),
        ("HEADEND_PORT", "70000", "HEADEND_PORT is 70000"),
        ("SIMULATION_DEVICES", "many", "SIMULATION_DEVICES is 'many'"),
        ("SIMULATION_INTERVAL", "7", "SIMULATION_INTERVAL is 7"),
        ("SIMULATION_LATE_ARRIVALS", "maybe", "SIMULATION_LATE_ARRIVALS is 'maybe'"),
        ("READINGS_URL", "ftp://x", "READINGS_URL is 'ftp://x'"),
        ("READINGS_URL", "delta://relative/path", "three slashes"),
        ("READINGS_URL", "timestream://x", "READINGS_URL: 'x' is no name"),
        ("EXPORTS_URL", "file:///nowhere/at/all", "/nowhere/at does not exist"),
        ("DATABASE_URL", "mysql://x/y", "DATABASE_URL is 'mysql://x/y'"),
        ("EXPORTS_EMPTY_STATUS", "gone", "EXPORTS_EMPTY_STATUS is 'gone'"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL is 'LOUD'"),
        ("HEADEND_ANONYMOUS_SUPPLIER", "nobody", "nobody"),
    ],
)
def test_a_setting_that_cannot_be_read_is_one_line(
    deploy: Callable[..., Deployment], setting: str, value: str, named: str
) -> None:
    assert named in refusal(deploy(**{setting: value}))


def test_a_home_whose_folder_is_missing_is_one_line(deploy: Callable[..., Deployment]) -> None:
    assert "does not exist" in refusal(deploy("missing/home"))


def test_outputs_before_the_first_run_say_so(deploy: Callable[..., Deployment]) -> None:
    assert "make run" in refusal(deploy(), "outputs")


def test_without_a_key_one_acts_as_the_supplier_that_the_deployment_names(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy(HEADEND_ANONYMOUS_SUPPLIER="sftp-user").start()
    url = deployment.outputs()["apiGatewayInvokeURL"]
    assert requests.get(f"{url}/readings/files", timeout=30).status_code == 200
    assert "HEADEND_ANONYMOUS_SUPPLIER is on" in deployment.log


def test_the_deployment_check_is_clean(deploy: Callable[..., Deployment]) -> None:
    for url in ("http://localhost:8000", "https://headend.example"):
        checked = deploy(HEADEND_PUBLIC_URL=url).manage("check", "--deploy")
        assert "no issues" in checked.stdout + checked.stderr


def test_every_command_teaches_its_use(deploy: Callable[..., Deployment]) -> None:
    for command in ("run", "outputs", "tour", "backfill", "load", "readings", "sftpserver"):
        shown = subprocess.run(
            [sys.executable, "manage.py", command, "--help"],
            env=deploy().environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "Example:" in " ".join(shown.split())
