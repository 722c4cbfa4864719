"""``manage.py run`` sets up a deployment in an empty folder, runs it, and ends it at Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deployment import END_SECONDS, ROOT, Deployment, share_set_up
from tests.ports import unused_port

pytestmark = pytest.mark.starts_processes

KEYS = [
    "apiGatewayInvokeURL", "ApiKey", "SftpServerAddress", "SftpPort", "SftpUserName",
    "SecretName", "PrivateKeyFile", "OperatorURL",
]  # fmt: skip
SMALL = {"SIMULATION_DEVICES": "200"}


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """A function that returns a new deployment; all of them are ended after the test."""
    deployments: list[Deployment] = []

    def new(name: str = "home", **extra: str) -> Deployment:
        deployments.append(Deployment(tmp_path / name, SMALL | extra))
        return deployments[-1]

    yield new
    for deployment in deployments:
        deployment.stop()


NOT_UTF_8 = {
    "LC_ALL": "POSIX",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii",
}
"""Python then takes paths as ASCII, as it takes them as ISO-8859-1 with the locale de_DE.ISO-8859-1."""


@pytest.fixture(scope="module")
def unusual_deployment(
    tmp_path_factory: pytest.TempPathFactory, starts_processes: None
) -> Iterator[Deployment]:
    """A deployment that was started in an empty folder with an unusual name, with many unusual settings.

    Several tests use it, because each start takes about eight seconds of processor time.
    """
    settings = {
        "HEADEND_HOST": "::",
        "HEADEND_PUBLIC_URL": "https://meters.example",
        "HEADEND_ANONYMOUS_SUPPLIER": "sftp-user",
    }
    home = tmp_path_factory.mktemp("unusual") / "größe #1? 50% 電力"
    deployment = Deployment(home, SMALL | NOT_UTF_8 | settings).start(shares_set_up=False)
    yield deployment
    deployment.stop()


def behind_a_proxy(deployment: Deployment, path: str, **headers: str) -> requests.Response:
    """Send a request for the public URL, as a proxy on this host does."""
    headers |= {"Host": "meters.example", "X-Forwarded-Proto": "https"}
    url = f"http://localhost:{deployment.http_port}{path}"
    return requests.get(url, headers=headers, allow_redirects=False, timeout=30)


def outputs_and_total(deployment: Deployment) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what ``manage.py outputs`` prints now, and the total that ``manage.py readings`` prints."""
    printed = deployment.manage_each(("outputs", "--json"), ("readings", "--json"))
    outputs, stored = map(json.loads, printed)
    return outputs, stored["total"]


def error_of(deployment: Deployment, *command: str) -> str:
    """Run a command that must fail, and return its error message, which must be one line."""
    ended = deployment.manage(*(command or ("run",)), check=False)
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr
    [line] = ended.stderr.strip().splitlines()
    return line


def test_the_first_run_creates_everything(unusual_deployment: Deployment) -> None:
    out, stored = outputs_and_total(unusual_deployment)
    assert list(out) == KEYS
    assert out["SecretName"] == "headend/sftp/private_key"
    assert out["SftpUserName"] == "sftp-user"
    private_key = Path(out["PrivateKeyFile"])
    assert private_key.is_relative_to(unusual_deployment.home)
    assert private_key.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert private_key.stat().st_mode & 0o777 == 0o600
    assert stored["intervals"] >= 12
    assert stored["meters"] == 200


def test_one_of_two_deployments_ends_and_its_second_run_prints_the_same_values(
    unusual_deployment: Deployment, running_deployment: Deployment
) -> None:
    assert running_deployment.outputs()["ApiKey"] != unusual_deployment.outputs()["ApiKey"]
    out, stored = outputs_and_total(unusual_deployment)
    for value in out.values():
        assert str(value).encode("ascii", "backslashreplace").decode() in unusual_deployment.log
    assert unusual_deployment.interrupt() == 0
    assert unusual_deployment.processes() == {}
    assert running_deployment.answers()
    known_hosts = unusual_deployment.home / "known_hosts"
    known_hosts.write_text("those of an earlier port")
    unusual_deployment.start()
    assert f"]:{unusual_deployment.sftp_port} ssh-ed25519" in known_hosts.read_text()
    out_again, stored_again = outputs_and_total(unusual_deployment)
    assert out_again == out
    assert unusual_deployment.log.count(out["ApiKey"]) % 2 == 0
    lines = unusual_deployment.log.splitlines()
    passwords = {line.split()[-1] for line in lines if "operator / " in line}
    assert len(passwords) == 1
    assert stored_again["readings"] >= stored["readings"]


def test_the_tour_finds_no_difference_from_the_guide(running_deployment: Deployment) -> None:
    tour = running_deployment.manage("tour")
    assert "all 400 readings are the same" in tour.stdout
    out = running_deployment.outputs()
    wrong_key = running_deployment.manage("tour", "--key", "hek_wrong", check=False)
    assert wrong_key.returncode == 1
    assert "answered 401" in wrong_key.stderr
    assert out["ApiKey"] not in tour.stdout


def test_the_operator_can_log_in_with_the_printed_password(running_deployment: Deployment) -> None:
    [line] = [line for line in running_deployment.log.splitlines() if "operator / " in line]
    with requests.Session() as browser:
        login = f"{running_deployment.outputs()['OperatorURL']}login/"
        browser.get(login, timeout=30)
        form = {"username": "operator", "password": line.split()[-1], "next": "/"}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        page = browser.post(login, form, headers={"Referer": login}, timeout=30)
    assert page.status_code == 200
    assert "File requests" in page.text


def test_callers_without_a_key_act_as_the_supplier_that_the_setting_names(
    unusual_deployment: Deployment,
) -> None:
    assert behind_a_proxy(unusual_deployment, "/readings/files").status_code == 200
    assert "HEADEND_ANONYMOUS_SUPPLIER is on" in unusual_deployment.log


def test_processes_that_are_killed_start_again(unusual_deployment: Deployment) -> None:
    # Children of the web server's main process would keep its port.
    for name in ("beat", "web"):
        killed = unusual_deployment.started(name)
        os.kill(killed[-1], signal.SIGKILL)
        said = f"{name} was killed by SIGKILL; it starts again in 0.5 s"
        assert unusual_deployment.wait_for_log(said)
        assert unusual_deployment.wait_for_log(f"{name} started", times=len(killed) + 1)
    deadline = time.monotonic() + END_SECONDS
    while not unusual_deployment.answers():
        assert time.monotonic() < deadline, unusual_deployment.log
        time.sleep(0.1)
    assert len(unusual_deployment.started("web")) == len(killed) + 1


def test_a_home_folder_that_is_in_use_is_a_one_line_error(running_deployment: Deployment) -> None:
    second = Deployment(running_deployment.home, SMALL)
    assert "another deployment is running in" in error_of(second)
    assert running_deployment.answers()


@pytest.mark.parametrize("setting", ["HEADEND_PORT", "SFTP_PORT"])
def test_a_port_that_is_in_use_is_a_one_line_error(
    deploy: Callable[..., Deployment], setting: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = error_of(deploy(**{setting: str(port)}))
    assert setting in line
    assert f"127.0.0.1:{port}" in line


WRONG_SETTINGS = [
    ("HEADEND_PORT", "eighty", "HEADEND_PORT is 'eighty'"),
    ("HEADEND_PORT", "70000", "HEADEND_PORT is 70000"),
    ("SIMULATION_DEVICES", "many", "SIMULATION_DEVICES is 'many'"),
    ("SIMULATION_INTERVAL", "7", "SIMULATION_INTERVAL is 7"),
    ("SIMULATION_LATE_ARRIVALS", "maybe", "SIMULATION_LATE_ARRIVALS is 'maybe'"),
    ("SIMULATION_PROFILE", "flat", "SIMULATION_PROFILE is 'flat'"),
    (
        "SIMULATION_SHARES",
        "shop=7",
        "SIMULATION_SHARES: the percentages add up to 7, not to 100.",
    ),
    ("SIMULATION_TIMEZONE", "Nowhere", "SIMULATION_TIMEZONE: 'Nowhere' is not a time zone"),
    ("SIMULATION_DELIVERY", "most", "SIMULATION_DELIVERY: 'most' is not on, off or four"),
    ("SIMULATION_LATITUDE", "70", "SIMULATION_LATITUDE is 70"),
    ("READINGS_URL", "ftp://x", "READINGS_URL is 'ftp://x'"),
    ("READINGS_URL", "delta://relative/path", "three slashes"),
    (
        "READINGS_URL",
        "delta:///data#1",
        "READINGS_URL is 'delta:///data#1'; write the character #",
    ),
    ("READINGS_URL", "delta:///tmp/[1]", "READINGS_URL: a Delta table cannot be in /tmp/[1]"),
    ("READINGS_URL", "timestream://x", "READINGS_URL: 'x' is not a valid name"),
    ("EXPORTS_URL", "file:///nowhere/at/all", "/nowhere/at does not exist"),
    ("DATABASE_URL", "mysql://x/y", "DATABASE_URL is 'mysql://x/y'"),
    ("EXPORTS_EMPTY_STATUS", "gone", "EXPORTS_EMPTY_STATUS is 'gone'"),
    ("LOG_LEVEL", "LOUD", "LOG_LEVEL is 'LOUD'"),
]
_RUN_WITH_EACH = """
import json, os, sys
from headend import command_line
ended = []
for setting, value in json.loads(sys.argv[1]):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(writer, sys.stderr.fileno())
        os.environ[setting] = value
        sys.argv = ["manage.py", "run"]
        sys.exit(command_line.main())
    os.close(writer)
    with open(reader) as printed:
        lines = printed.read().strip().splitlines()
    ended.append([os.waitstatus_to_exitcode(os.wait()[1]), lines])
print(json.dumps(ended))
"""


@pytest.fixture(scope="module")
def refusals(
    tmp_path_factory: pytest.TempPathFactory, starts_processes: None
) -> dict[str, tuple[int, list[str]]]:
    """The exit code and the error lines of ``manage.py run`` with each wrong value.

    A process that has imported Django forks for each of them, which takes a fifth of the time of a new process.
    """
    deployment = Deployment(tmp_path_factory.mktemp("wrong") / "home", {"PYTHONUTF8": "1"})
    settings = [(setting, value) for setting, value, _ in WRONG_SETTINGS]
    done = subprocess.run(
        [sys.executable, "-c", _RUN_WITH_EACH, json.dumps(settings)],
        cwd=ROOT,
        env=deployment.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    ended = (tuple(each) for each in json.loads(done.stdout))
    return dict(zip((value for _, value in settings), ended, strict=True))


@pytest.mark.parametrize(("setting", "value", "message"), WRONG_SETTINGS)
def test_a_wrong_setting_is_a_one_line_error(
    refusals: dict[str, tuple[int, list[str]]], setting: str, value: str, message: str
) -> None:
    code, [line] = refusals[value]
    assert code == 1
    assert setting in line
    assert message in line


def test_an_anonymous_supplier_that_does_not_exist_is_a_one_line_error(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy(HEADEND_ANONYMOUS_SUPPLIER="nobody")
    share_set_up(deployment.home)
    assert "nobody" in error_of(deployment)


@pytest.mark.parametrize("setting", ["DATABASE_URL", "CELERY_BROKER_URL"])
def test_a_database_or_broker_that_cannot_be_reached_is_a_one_line_error(
    deploy: Callable[..., Deployment], setting: str
) -> None:
    scheme = {"DATABASE_URL": "postgresql", "CELERY_BROKER_URL": "redis"}[setting]
    url = f"{scheme}://user:word@127.0.0.1:{unused_port()}/0"
    line = error_of(deploy(**{setting: url}))
    assert line.startswith(f"headend: {setting}: ")
    assert "Connection refused" in line
    assert "word" not in line


def test_a_home_folder_in_a_missing_folder_is_a_one_line_error(
    deploy: Callable[..., Deployment],
) -> None:
    assert "does not exist" in error_of(deploy("missing/home"))


def test_a_home_folder_in_which_no_table_can_be_is_a_one_line_error_of_every_command(
    deploy: Callable[..., Deployment],
) -> None:
    for command in ("run", "load", "readings", "outputs"):
        assert "contains [" in error_of(deploy("home[1]"), command)


def test_a_deployment_works_in_a_home_folder_of_any_name_in_any_locale(
    unusual_deployment: Deployment,
) -> None:
    out, total = outputs_and_total(unusual_deployment)
    page = behind_a_proxy(
        unusual_deployment,
        "/readings?start_date=2023-02-27",
        Authorization=f"Token {out['ApiKey']}",
    )
    assert len(page.json()["records"]) == 10
    assert total["readings"] >= int(SMALL["SIMULATION_DEVICES"])
    assert "Traceback" not in unusual_deployment.log
    home = unusual_deployment.home
    assert [path.name for path in home.parent.iterdir() if path.is_dir()] == [home.name]


@pytest.mark.parametrize("host", ["[::1]", "127.0.0.1"])
def test_a_deployment_on_ipv6_answers_by_ipv4_too(
    unusual_deployment: Deployment, host: str
) -> None:
    probe = f"http://{host}:{unusual_deployment.http_port}/health/ready"
    ready = requests.get(probe, timeout=60, allow_redirects=False)
    assert (ready.status_code, set(ready.json().values())) == (200, {"ok"})
    address = (host.strip("[]"), unusual_deployment.sftp_port)
    with socket.create_connection(address, timeout=60) as connection:
        assert connection.recv(4) == b"SSH-"


def test_a_file_that_cannot_be_read_is_a_one_line_error(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy()
    secret = deployment.home / "secrets" / "headend" / "api_key"
    secret.mkdir(parents=True)
    assert error_of(deployment, "outputs") == f"headend: {secret}: Is a directory."


def test_outputs_before_the_first_run_are_an_error_that_says_what_to_do(
    deploy: Callable[..., Deployment],
) -> None:
    assert "Start one: `python manage.py run`." in error_of(deploy(), "outputs")


def test_the_deployment_check_finds_no_issue(deploy: Callable[..., Deployment]) -> None:
    for url in ("http://localhost:8000", "https://headend.example"):
        checked = deploy(HEADEND_PUBLIC_URL=url).manage("check", "--deploy")
        assert "no issues" in checked.stdout + checked.stderr


def test_the_help_of_every_command_has_an_example(deploy: Callable[..., Deployment]) -> None:
    commands = ("run", "outputs", "tour", "backfill", "load", "readings", "sftpserver")
    for command, shown in zip(commands, help_of(deploy(), commands), strict=True):
        assert re.search(r"\bExamples?[:,]", shown), command


def help_of(deployment: Deployment, commands: Iterable[str]) -> list[str]:
    """Return what each command prints with ``--help``. One process prints them all."""
    return deployment.manage_each(*((command, "--help") for command in commands))
