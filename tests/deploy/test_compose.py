"""The services of the Compose file use real commands, settings, secrets and volumes, and some can be scaled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.session import Session
from django.core.management import get_commands, load_command_class

from tests.deploy.tools import DEPLOY, ROOT
from tests.deployment import SETTINGS

SCALED = ("web", "worker", "deliveries")
SECRETS_FOLDER = "/run/secrets/"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The Compose file, with the default of each variable."""
    text = (DEPLOY / "compose.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text))
    return found


def services_of_headend(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the services whose containers run the command ``headend``."""
    return {
        name: service
        for name, service in compose["services"].items()
        if service["image"].startswith("headend:") and "entrypoint" not in service
    }


def secret_files(service: dict[str, Any]) -> set[str]:
    """Return the names of the secrets that the service reads by its environment or its command."""
    values = [
        *map(str, service.get("environment", {}).values()),
        *map(str, service.get("command", [])),
    ]
    return {name for value in values for name in re.findall(rf"{SECRETS_FOLDER}(\w+)", value)}


def test_every_service_of_headend_runs_a_command_with_valid_arguments(
    compose: dict[str, Any],
) -> None:
    services = services_of_headend(compose)
    assert len(services) == 6
    for service in services.values():
        name, *arguments = service["command"]
        command = load_command_class(get_commands()[name], name)
        command.create_parser("headend", name).parse_args(arguments)


def test_every_setting_is_one_that_the_product_or_boto3_reads(compose: dict[str, Any]) -> None:
    sources = [
        path.read_text()
        for app in ("headend", "readings", "exports")
        for path in (ROOT / app).rglob("*.py")
    ]
    known = set(re.findall(r'"([A-Z][A-Z0-9_]+)"', "\n".join(sources)))
    of_boto3 = {Session.SESSION_VARIABLES["credentials_file"][1]}
    for service in services_of_headend(compose).values():
        names = set(service["environment"]) - of_boto3
        assert {name.removesuffix("_FILE") for name in names} <= known


@pytest.mark.starts_processes
def test_the_product_accepts_the_values_of_the_settings(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copy(DEPLOY / "create-secrets", tmp_path)
    subprocess.run(["sh", "create-secrets"], cwd=tmp_path, check=True, capture_output=True)
    settings = {
        name: str(value).replace(SECRETS_FOLDER, f"{tmp_path}/secrets/")
        for name, value in compose["x-headend"]["environment"].items()
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    printed = subprocess.run(
        [sys.executable, "-c", _PRINT_DATABASE],
        cwd=ROOT, env=inherited | settings | {"HEADEND_HOME": str(tmp_path)},
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert printed.split() == [
        "postgres",
        "headend",
        (tmp_path / "secrets/postgres_password").read_text(),
    ]


_PRINT_DATABASE = """
from headend.settings import DATABASES
database = DATABASES["default"]
print(database["HOST"], database["NAME"], database["PASSWORD"])
"""


def test_every_service_has_the_secrets_that_it_reads_and_no_others(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        read = secret_files(service)
        if name == "prometheus":
            configuration = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
            read |= set(re.findall(rf"{SECRETS_FOLDER}(\w+)", configuration))
        assert set(service.get("secrets", [])) == read, name
    used = {name for service in compose["services"].values() for name in service.get("secrets", [])}
    # The password of PostgreSQL is also a part of database_url.
    assert used == set(compose["secrets"])


def test_every_volume_is_declared_and_used_and_every_mounted_file_exists(
    compose: dict[str, Any],
) -> None:
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    ]
    files = {source for source in mounted if source.startswith(".")}
    assert set(mounted) - files == set(compose["volumes"])
    assert [source for source in files if not (DEPLOY / source).exists()] == []


def test_a_service_waits_only_for_services_that_report_what_it_waits_for(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    for service in services.values():
        for other, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
            else:
                assert services[other]["restart"] == "no"


@pytest.mark.parametrize("name", SCALED)
def test_containers_of_a_scaled_service_share_no_name_and_no_port_of_the_host(
    compose: dict[str, Any], name: str
) -> None:
    service = compose["services"][name]
    assert not {"container_name", "ports", "hostname", "network_mode"} & set(service)
    # The proxy and Prometheus find the containers by the name of the service.
    assert "ipv4_address" not in str(service.get("networks"))


def test_the_proxy_finds_all_containers_of_web() -> None:
    assert "dynamic a web 8000" in (DEPLOY / "caddy" / "Caddyfile").read_text()
