"""System checks of settings that are wrong together, on this machine, or for this database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from exports.checks import anonymous_supplier_exists
from exports.models import Supplier
from headend.config import checks, sftp_limits
from headend.config.folders import Folder
from headend.config.sftp_limits import SftpLimits


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def test_the_default_settings_have_no_problem() -> None:
    own = ("headend.", "readings.", "exports.")
    assert [message for message in run_checks() if (message.id or "").startswith(own)] == []


def test_the_same_port_for_both_servers_is_an_error(settings: Settings) -> None:
    settings.SFTP_PORT = settings.HEADEND_PORT
    [problem] = [m for m in run_checks() if m.id == "headend.E001"]
    assert "HEADEND_PORT and SFTP_PORT" in problem.msg


@pytest.mark.parametrize("without_login", [10, 11])
def test_sftp_connections_must_be_left_for_suppliers_that_have_logged_in(
    settings: Settings, without_login: int
) -> None:
    settings.SFTP_LIMITS = SftpLimits(connections=10, connections_without_login=without_login)
    [problem] = [m for m in run_checks() if m.id == "headend.E004"]
    assert problem.msg == (
        f"SFTP_CONNECTIONS_WITHOUT_LOGIN is {without_login}, and SFTP_CONNECTIONS is 10."
    )
    assert "smaller" in (problem.hint or "")


@pytest.mark.parametrize(
    ("environment", "limits"),
    [
        ({}, SftpLimits()),
        (
            {"SFTP_CONNECTIONS": "50"},
            SftpLimits(connections=50, connections_without_login=12),
        ),
        ({"SFTP_CONNECTIONS": "2"}, SftpLimits(connections=2, connections_without_login=1)),
        (
            {"SFTP_CONNECTIONS": "50", "SFTP_CONNECTIONS_WITHOUT_LOGIN": "49"},
            SftpLimits(connections=50, connections_without_login=49),
        ),
    ],
)
def test_fewer_sftp_connections_need_no_second_setting(
    environment: dict[str, str],
    limits: SftpLimits,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.SFTP_LIMITS = sftp_limits.from_environment()
    assert limits == settings.SFTP_LIMITS
    assert checks.suppliers_can_connect() == []


def test_a_public_host_that_the_server_refuses_is_a_warning(settings: Settings) -> None:
    settings.HEADEND_PUBLIC_URL = "https://headend.example"
    settings.ALLOWED_HOSTS = ["localhost"]
    assert ids(checks.public_host_is_allowed()) == ["headend.W001"]
    settings.ALLOWED_HOSTS = [".example"]
    assert ids(checks.public_host_is_allowed()) == []


def test_a_public_host_can_be_an_ipv6_address(settings: Settings) -> None:
    settings.HEADEND_PUBLIC_URL = "http://[::1]:8000"
    settings.ALLOWED_HOSTS = ["[::1]"]
    assert ids(checks.public_host_is_allowed()) == []


def test_an_anonymous_supplier_must_be_an_active_supplier(settings: Settings, db: None) -> None:
    settings.HEADEND_ANONYMOUS_SUPPLIER = "alice"

    def found() -> list[str | None]:
        return ids(anonymous_supplier_exists(databases=["default"]))

    assert found() == ["headend.E002"]
    alice = Supplier.objects.create(name="alice")
    assert found() == []
    alice.active = False
    alice.save()
    assert found() == ["headend.E002"]


def test_the_database_is_read_only_if_the_caller_names_it(settings: Settings) -> None:
    settings.HEADEND_ANONYMOUS_SUPPLIER = "nobody"
    assert anonymous_supplier_exists in registry.registered_checks
    assert ids(anonymous_supplier_exists(databases=None)) == []


@pytest.mark.parametrize(
    "url",
    [
        "timestream://devices",
        "delta+s3://bucket",
        "delta+s3://bucket/prefix?regoin=eu-west-1",
        "delta+s3://key:p%40ss%2Fword@bucket/prefix",
    ],
)
def test_an_incomplete_or_wrong_readings_url_is_an_error(settings: Settings, url: str) -> None:
    settings.READINGS_URL = url
    [problem] = [m for m in run_checks() if m.id == "readings.E001"]
    assert problem.msg.startswith("READINGS_URL: ")
    assert "word" not in problem.msg


def test_a_folder_is_an_error_only_if_setup_cannot_create_it(
    settings: Settings, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    settings.FOLDERS = [Folder("HEADEND_HOME", home), Folder("EXPORTS_URL", home / "exports")]
    assert checks.folders_are_usable() == []
    settings.FOLDERS = [Folder("EXPORTS_URL", home / "exports")]
    [problem] = checks.folders_are_usable()
    assert problem.id == "headend.E003"
    assert problem.msg == f"EXPORTS_URL: the folder {home} does not exist."


def test_a_file_where_a_folder_should_be_is_an_error(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.FOLDERS = [Folder("READINGS_URL", tmp_path / "file")]
    [problem] = checks.folders_are_usable()
    assert problem.msg == f"READINGS_URL: {tmp_path}/file is not a folder."


def test_folders_inside_a_folder_that_cannot_be_used_are_not_named_too(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, other = tmp_path / "missing" / "home", tmp_path / "other"
    settings.FOLDERS = [
        Folder("HEADEND_HOME", home),
        Folder("HEADEND_HOME", home / "broker"),
        Folder("EXPORTS_URL", home / "exports"),
        Folder("READINGS_URL", other / "readings"),
    ]
    assert [problem.msg for problem in checks.folders_are_usable()] == [
        f"HEADEND_HOME: the folder {home.parent} does not exist.",
        f"READINGS_URL: the folder {other} does not exist.",
    ]
    # A folder in which this user may not look.
    error = PermissionError(13, "Permission denied", str(home))
    monkeypatch.setattr(Path, "exists", raising(error))
    assert [problem.msg for problem in checks.folders_are_usable()] == [
        f"HEADEND_HOME: {home}: Permission denied.",
        f"READINGS_URL: {other}/readings: Permission denied.",
    ]


def raising(error: OSError) -> Callable[[Path], bool]:
    """Return a function that raises ``error``."""

    def fail(_: Path) -> bool:
        raise error

    return fail


def test_a_process_refuses_to_start_with_the_first_error(settings: Settings) -> None:
    checks.refuse_wrong_settings()
    settings.SFTP_PORT = settings.HEADEND_PORT
    with pytest.raises(
        ImproperlyConfigured, match=r"HEADEND_PORT and SFTP_PORT are both \d+\. Set"
    ):
        checks.refuse_wrong_settings()
    settings.SILENCED_SYSTEM_CHECKS = ["headend.E001"]
    checks.refuse_wrong_settings()
