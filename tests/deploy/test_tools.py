"""The files in deploy/ pass the checks of the programs that read them."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from honcho.environ import parse_procfile

from tests.deploy.tools import DEPLOY, ROOT, run

pytestmark = pytest.mark.starts_processes
PROCESSES = set(parse_procfile((ROOT / "Procfile").read_text()).processes)
WORST_EXPOSURE = 3.0
"""The highest allowed result of `systemd-analyze security`: 0 is the best, 10 the worst."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with the units, whose program exists."""
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text().replace("/opt/headend/bin/headend", sys.executable)
        (tmp_path / unit.name).write_text(text)
    shutil.copy(tmp_path / "headend@.service", tmp_path / "headend@web.service")
    return tmp_path


def test_the_dockerfile_passes_hadolint() -> None:
    assert run("hadolint", "Dockerfile") == ""


def test_the_rules_of_prometheus_are_valid_and_alert() -> None:
    run("promtool", "check", "config", "--syntax-only", "prometheus/prometheus.yml")
    run("promtool", "check", "rules", "prometheus/alerts.yml")
    run("promtool", "test", "rules", "prometheus/alerts_test.yml")


def test_the_compose_file_is_valid_and_has_every_process(tmp_path: Path) -> None:
    folder = tmp_path / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("secrets"))
    run("sh", folder / "create-secrets")
    arguments = ("-f", "compose.yaml", "--profile", "monitoring", "config")
    run("docker-compose", *arguments, "--quiet", cwd=folder)
    services = set(run("docker-compose", *arguments, "--services", cwd=folder).split())
    assert services >= PROCESSES | {
        "setup",
        "postgres",
        "valkey",
        "s3",
        "proxy",
        "prometheus",
        "grafana",
    }


def test_secrets_are_created_once(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "create-secrets", tmp_path)
    run("sh", "create-secrets", cwd=tmp_path)
    first = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    named = re.findall(r"file: \./secrets/(\w+)", (DEPLOY / "compose.yaml").read_text())
    assert set(named) == set(first)
    assert first["postgres_password"] in first["database_url"]
    (tmp_path / "secrets" / "metrics_token").unlink()
    run("sh", "create-secrets", cwd=tmp_path)
    second = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert {name for name in named if first[name] != second[name]} == {"metrics_token"}
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_the_units_of_systemd_are_valid(units: Path) -> None:
    names = ["headend@web.service", "headend-setup.service", "headend.target"]
    printed = run("systemd-analyze", "verify", "--man=no", *names, cwd=units)
    assert "headend" not in printed
    wanted = re.findall(r"headend@(\w+)\.service", (units / "headend.target").read_text())
    assert set(wanted) == PROCESSES


def test_a_restart_of_setup_restarts_no_process_and_a_failure_of_it_ends_none(units: Path) -> None:
    """With Requires or BindsTo, systemd would pass on each restart and each failure."""
    process = (units / "headend@.service").read_text()
    relations = dict(re.findall(r"(?m)^(\w+)=(.*headend-setup\.service.*)$", process))
    assert relations.keys() == {"Wants", "After"}
    assert "\nRestart=on-failure\n" in (units / "headend-setup.service").read_text()


@pytest.mark.parametrize("unit", ["headend@web.service", "headend-setup.service"])
def test_a_unit_has_few_rights(units: Path, unit: str) -> None:
    printed = run(
        "systemd-analyze", "security", "--offline=true", "--no-pager", f"./{unit}", cwd=units
    )
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", printed)
    assert exposure
    assert float(exposure[1]) <= WORST_EXPOSURE


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    certificate, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
    run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=headend.example",
        "-keyout", key, "-out", certificate,
    )  # fmt: skip
    example = (DEPLOY / "nginx" / "headend.conf").read_text()
    example = example.replace("/etc/letsencrypt/live/headend.example", str(tmp_path))
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path};\n{example} }}"
    )
    run("nginx", "-t", "-c", main, "-p", tmp_path)


def test_caddy_accepts_its_configuration() -> None:
    run("caddy", "validate", "--adapter", "caddyfile", "--config", "caddy/Caddyfile")
