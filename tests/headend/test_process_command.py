"""``manage.py process`` becomes one process of the Procfile."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django.fixtures import Settings

from headend.config import service_urls
from headend.config.aws_secrets import SecretsManager
from headend.config.secrets import FileSecrets
from headend.deployment import procfile, start_checks
from headend.monitoring import health
from readings.repositories import ReadingsRepository
from tests.ports import unused_port


@pytest.fixture
def started(
    monkeypatch: pytest.MonkeyPatch, db: None, store: ReadingsRepository
) -> list[tuple[list[str], dict[str, str]]]:
    """The arguments and the environment of each program that this process would have become."""
    programs: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(start_checks, "static_files_are_collected", lambda: True)
    monkeypatch.chdir(".")
    monkeypatch.setattr(
        os, "execvpe", lambda _, arguments, environment: programs.append((arguments, environment))
    )
    return programs


@pytest.mark.parametrize("name", ["web", "worker", "deliveries", "beat", "sftp", "web2"])
def test_a_process_is_started_by_its_line_of_the_procfile(
    started: list[tuple[list[str], dict[str, str]]], name: str
) -> None:
    call_command("process", name)
    [(arguments, environment)] = started
    assert arguments == ["sh", "-c", procfile.commands()[name.removesuffix("2")]]
    # The shell becomes the program: a signal to the process reaches it.
    assert arguments[2].startswith("exec ")
    assert environment["CELERY_SKIP_CHECKS"] == "true"


def test_a_relative_home_folder_stays_the_same_in_the_folder_of_the_packages(
    started: list[tuple[list[str], dict[str, str]]],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADEND_HOME", "var")
    call_command("process", "beat")
    assert started[0][1]["HEADEND_HOME"] == str(settings.HEADEND_HOME)
    assert Path.cwd() == settings.BASE_DIR


def refusal(started: list[tuple[list[str], dict[str, str]]], name: str = "web") -> str:
    """Return why the process is not started."""
    with pytest.raises(ImproperlyConfigured) as refused:
        call_command("process", name)
    assert started == []
    return str(refused.value)


@pytest.mark.parametrize("name", ["web", "worker", "deliveries", "beat", "sftp"])
def test_no_process_starts_before_the_database_was_migrated(
    started: list[tuple[list[str], dict[str, str]]], name: str
) -> None:
    MigrationRecorder(connection).migration_qs.filter(app="exports").latest("name").delete()
    assert "the database is older than the code (exports.0" in refusal(started, name)


def test_no_process_starts_with_the_database_of_a_newer_release(
    started: list[tuple[list[str], dict[str, str]]],
) -> None:
    MigrationRecorder(connection).record_applied("exports", "9999_from_the_future")
    assert "Install that release again" in refusal(started)


def test_no_process_starts_without_the_file_of_its_database(
    started: list[tuple[list[str], dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "missing.sqlite3"))
    message = refusal(started)
    assert message.endswith("missing.sqlite3 does not exist. Run `python manage.py setup`.")
    assert list(tmp_path.glob("*.sqlite3")) == []


def test_only_a_web_process_needs_the_static_files_of_this_host(
    started: list[tuple[list[str], dict[str, str]]],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(start_checks, "static_files_are_collected", lambda: False)
    assert refusal(started).endswith("are missing. Run `python manage.py setup` on this host.")
    assert refusal(started, "web2").startswith("HEADEND_STATIC_ROOT: ")
    call_command("process", "worker")
    assert len(started) == 1
    settings.HEADEND_HOME = tmp_path / "new"
    started.clear()
    assert refusal(started, "worker").startswith(f"HEADEND_HOME: {tmp_path}/new does not exist.")


def test_no_process_starts_without_its_secrets(
    started: list[tuple[list[str], dict[str, str]]],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    settings.SECRETS = SecretsManager(
        "headend",
        FileSecrets(tmp_path),
        region="us-east-1",
        endpoint_url=f"http://127.0.0.1:{unused_port()}",
    )
    message = refusal(started)
    assert message.startswith("SECRETS_URL: the secrets cannot be read: Could not connect")


def test_no_process_starts_without_its_broker(
    started: list[tuple[list[str], dict[str, str]]], settings: Settings, tmp_path: Path
) -> None:
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "missing")}
    message = refusal(started)
    assert message == (
        f"CELERY_BROKER_URL: the folder of the messages, {tmp_path / 'missing'}, does not exist."
        " Run `python manage.py setup`, which creates it."
    )


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        ("Error 111 connecting to 127.0.0.1:9. Connection refused.", "check that the broker runs"),
        ("invalid username-password pair or user is disabled.", "the user and the password in"),
        ("Authentication required.", "the user and the password in"),
    ],
)
def test_the_refusal_says_what_to_do_about_the_broker(
    started: list[tuple[list[str], dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    hint: str,
) -> None:
    def fail() -> None:
        raise OSError(error)

    monkeypatch.setattr(health, "check_broker", fail)
    message = refusal(started)
    assert f"cannot be used: {error} " in message
    assert hint in message.removeprefix(error)
    with pytest.raises(ImproperlyConfigured) as refused:
        call_command("setup")
    assert str(refused.value) == message


def test_no_process_starts_without_the_bucket_of_export_files(
    started: list[tuple[list[str], dict[str, str]]],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    endpoint = quote(f"http://127.0.0.1:{unused_port()}", safe="")
    url = f"s3://bucket/x?region=us-east-1&endpoint_url={endpoint}"
    settings.STORAGES = {**settings.STORAGES, "exports": service_urls.exports_storage(url)}
    assert refusal(started).startswith("EXPORTS_URL: the server cannot be reached")


def test_no_process_starts_without_the_table_of_readings(
    started: list[tuple[list[str], dict[str, str]]], settings: Settings, tmp_path: Path
) -> None:
    settings.READINGS_URL = f"delta://{tmp_path}/missing"
    message = refusal(started)
    assert message.startswith("READINGS_URL: ")
    assert "missing" in message


def test_another_name_is_refused() -> None:
    with pytest.raises(CommandError, match=r"invalid choice: 'courier'.*'web'.*'sftp'"):
        call_command("process", "courier")
