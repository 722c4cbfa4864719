"""Importing the settings changes nothing: no folder, no secret, no call to a service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.starts_processes

ROOT = Path(__file__).parents[3]
LOOPBACK = "[IPv4Network('127.0.0.0/8'), IPv6Network('::1/128')]"
COMMANDS = [["help"], ["check"], ["outputs", "--help"]]


def run(arguments: list[str], folder: Path, **environment: str) -> None:
    """Run ``manage.py`` in ``folder`` with no setting besides ``environment``."""
    subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_that_needs_no_data_leaves_an_empty_home_folder_empty(
    arguments: list[str], tmp_path: Path
) -> None:
    run(arguments, tmp_path, HEADEND_HOME=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_needs_no_data_does_not_create_the_home_folder(tmp_path: Path) -> None:
    run(["check"], tmp_path, HEADEND_HOME=str(tmp_path / "home"))
    assert list(tmp_path.iterdir()) == []


def test_help_works_if_the_home_folder_cannot_exist(tmp_path: Path) -> None:
    run(["help"], tmp_path, HEADEND_HOME=str(tmp_path / "missing" / "home"))
    assert list(tmp_path.iterdir()) == []


def test_no_command_creates_the_default_home_folder_by_itself(tmp_path: Path) -> None:
    default = ROOT / "var"
    before = set(default.iterdir()) if default.exists() else None
    run(["help"], tmp_path)
    assert (set(default.iterdir()) if default.exists() else None) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["WEB_WORKERS", "HEADEND_DRAIN_SECONDS"])
def test_every_command_refuses_a_wrong_setting_of_a_server(name: str, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run(["check"], tmp_path, HEADEND_HOME=str(tmp_path), **{name: "0"})
    assert refused.value.stderr.decode().startswith(f"headend: {name} is 0; it must be between")


def test_settings_with_aws_urls_call_no_service(tmp_path: Path) -> None:
    nowhere = "endpoint_url=http://127.0.0.1:9&region=us-east-1"
    run(
        ["check"],
        tmp_path,
        HEADEND_HOME=str(tmp_path),
        SECRETS_URL=f"secretsmanager://headend?{nowhere}",
        EXPORTS_URL=f"s3://bucket/prefix?{nowhere}",
        READINGS_URL=f"timestream://database/table?{nowhere}",
        CELERY_BROKER_URL=f"sqs://prefix?{nowhere}",
    )
    assert list(tmp_path.iterdir()) == []


def values_of(names: list[str], folder: Path, **environment: str) -> list[str]:
    """Return the values of settings as text."""
    values = ", ".join(f"settings.{name}" for name in names)
    printed = subprocess.run(
        [sys.executable, "-c", f"from headend import settings; print({values}, sep='|')"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HEADEND_HOME": str(folder), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return printed.stdout.strip().split("|")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HEADEND_PUBLIC_URL": "http://meters.example"}, ["0", "False", "False", "[]"]),
        ({}, ["31536000", "False", "False", LOOPBACK]),
        ({"HEADEND_HSTS": "subdomains"}, ["31536000", "True", "False", LOOPBACK]),
        ({"HEADEND_HSTS": "preload"}, ["31536000", "True", "True", LOOPBACK]),
    ],
)
def test_https_trusts_a_proxy_on_this_host_and_hsts_includes_other_hosts_only_if_configured(
    environment: dict[str, str], expected: list[str], tmp_path: Path
) -> None:
    names = [
        "SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD",
        "HEADEND_TRUSTED_PROXIES",
    ]  # fmt: skip
    environment = {"HEADEND_PUBLIC_URL": "https://meters.example"} | environment
    assert values_of(names, tmp_path, **environment) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["", "completed", "2222"]),
        ({"HEADEND_COMPATIBILITY": "aws"}, ["sftp-user", "skipped", "22"]),
        (
            {
                "HEADEND_COMPATIBILITY": "aws",
                "HEADEND_ANONYMOUS_SUPPLIER": "adapter",
                "EXPORTS_EMPTY_STATUS": "completed",
                "SFTP_PORT": "2022",
            },
            ["adapter", "completed", "2022"],
        ),
    ],
)
def test_the_compatibility_with_aws_changes_three_defaults(
    environment: dict[str, str], expected: list[str], tmp_path: Path
) -> None:
    names = ["HEADEND_ANONYMOUS_SUPPLIER", "EXPORTS_EMPTY_STATUS", "SFTP_PORT"]
    assert values_of(names, tmp_path, **environment) == expected
