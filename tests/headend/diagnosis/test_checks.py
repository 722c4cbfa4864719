"""Each check of ``manage.py doctor`` on a deployment in a folder, and what it says if its part does not work."""

from __future__ import annotations

import os
import socket
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.sftp.host_keys import host_keys
from headend.config.folders import Folder
from headend.config.secrets import FileSecrets
from headend.deployment import bootstrap
from headend.deployment.exclusive_use import check_port, lock_home
from headend.deployment.schema import refuse_newer_schema
from headend.diagnosis import database, host, services, stores
from headend.diagnosis.finding import Finding, State
from readings.described_table import describe
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from tests.ports import unused_port
from tests.readings.new_repository import create_repository

Disk = namedtuple("Disk", ["free"])


@pytest.fixture
def export_folder(settings: Settings, tmp_path: Path) -> Path:
    """The folder of the export store."""
    folder = tmp_path / "exports"
    folder.mkdir()
    settings.EXPORTS_URL = f"file://{folder}"
    settings.FOLDERS = [Folder("EXPORTS_URL", folder)]
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder},
        },
    }
    return folder


@pytest.fixture
def secrets(settings: Settings, tmp_path: Path) -> FileSecrets:
    """An empty secrets store."""
    settings.SECRETS_URL = f"file://{tmp_path}/secrets"
    store = settings.SECRETS = FileSecrets(tmp_path / "secrets")
    return store


def only(found: list[Finding]) -> tuple[str, str]:
    """Return the state and the whole line of the only finding."""
    [finding] = found
    return finding.state, f"{finding.text}. {finding.hint}".strip()


def test_a_database_that_works_is_ok_and_keeps_no_table(db: None) -> None:
    state, line = only(database.check_database())
    assert state == State.OK
    assert connection.display_name in line
    assert "headend_doctor" not in connection.introspection.table_names()


def test_an_older_schema_is_named_with_the_migrations_that_are_missing(db: None) -> None:
    assert only(database.check_migrations()) == (State.OK, "the database has all migrations.")
    MigrationRecorder(connection).migration_qs.filter(app="readings").latest("name").delete()
    state, line = only(database.check_migrations())
    assert state == State.FAILED
    assert "the database is older than the code (readings.0" in line
    assert "Stop all processes, run `python manage.py setup`" in line


def test_a_newer_schema_is_refused_by_setup_too(db: None) -> None:
    refuse_newer_schema()
    MigrationRecorder(connection).record_applied("exports", "9999_from_the_future")
    MigrationRecorder(connection).record_applied("of_another_program", "0001_initial")
    state, line = only(database.check_migrations())
    assert state == State.FAILED
    assert "a newer release of headend has migrated the database (exports.9999_from" in line
    assert "restore the backup from before the upgrade" in line
    with pytest.raises(Exception, match=r"DATABASE_URL: a newer release .*9999_from_the_future"):
        refuse_newer_schema()


def test_a_missing_sqlite_file_is_not_created(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "headend.sqlite3"
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))
    for check in (database.check_database, database.check_migrations):
        assert only(check())[0] == State.FAILED
    assert not file.exists()


@pytest.mark.parametrize(
    ("seconds", "state"), [(0.2, State.OK), (2, State.WARNING), (15, State.FAILED)]
)
def test_a_difference_of_the_clocks_is_judged_by_the_length_of_a_lease(
    settings: Settings, seconds: float, state: State
) -> None:
    settings.EXPORTS_LEASE_SECONDS = 30
    found = database.clock_finding(seconds)
    assert found.state == state
    assert f"{seconds:.1f} s" in found.text
    assert ("NTP" in found.hint) == (state != State.OK)


def test_a_store_of_readings_that_works_is_ok_with_the_age_of_the_newest_interval(
    db: None, store: ReadingsRepository
) -> None:
    assert "Delta Lake on disk" in only(stores.check_readings())[1]
    now = timezone.now()
    for hours in (8, 9, 10, 11):
        time = now - timedelta(hours=hours)
        IntervalTotals.objects.create(time=time, readings=5, late=0, kw=1.0)
    state, line = only(stores.check_readings())
    assert state == State.WARNING
    assert "newest interval 8 hours ago: 7 intervals have no readings" in line


def test_a_missing_table_of_readings_is_not_created(
    db: None, settings: Settings, tmp_path: Path
) -> None:
    settings.READINGS_URL = f"delta://{tmp_path}/missing"
    state, line = only(stores.check_readings())
    assert state == State.FAILED
    assert "missing does not exist. Run `python manage.py setup`" in line
    assert not (tmp_path / "missing").exists()


def test_another_table_of_readings_than_the_deployments_is_an_error(
    db: None, store: ReadingsRepository, settings: Settings, tmp_path: Path
) -> None:
    describe(store)
    settings.READINGS_URL = f"delta://{tmp_path}/other"
    create_repository(settings.READINGS_URL)
    state, line = only(stores.check_readings())
    assert state == State.FAILED
    assert "READINGS_URL names another table" in line


def test_an_export_folder_that_works_is_ok_and_stays_empty(export_folder: Path) -> None:
    assert only(stores.check_exports())[0] == State.OK
    assert [path for path in export_folder.rglob("*") if path.is_file()] == []


def test_a_missing_export_folder_is_not_created(export_folder: Path) -> None:
    export_folder.rmdir()
    state, line = only(stores.check_exports())
    assert (state, "Mount its disk" in line) == (State.FAILED, True)
    assert not export_folder.exists()


def test_a_broker_folder_that_is_missing_is_an_error(settings: Settings, tmp_path: Path) -> None:
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path)}
    assert only(services.check_broker())[0] == State.OK
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "missing")}
    state, line = only(services.check_broker())
    assert state == State.FAILED
    assert line.startswith(
        f"CELERY_BROKER_URL: the folder of the messages, {tmp_path / 'missing'}, does not exist."
    )
    assert line.count("Run `python manage.py setup`") == 1


def test_secrets_are_complete_and_private(db: None, secrets: FileSecrets) -> None:
    state, line = only(services.check_secrets())
    assert state == State.FAILED
    assert "headend/api_key" in line
    assert not secrets.root.exists()
    bootstrap.ensure_default_supplier()
    bootstrap.ensure_operator()
    host_keys()
    assert only(services.check_secrets()) == (
        State.OK,
        "5 secrets, which only this user can read.",
    )
    secrets.path("headend/api_key").chmod(0o640)
    state, line = only(services.check_secrets())
    assert state == State.FAILED
    assert "headend/api_key" in line
    assert str(secrets.get("headend/api_key")) not in line


def test_wrong_settings_are_findings_with_their_ids(settings: Settings) -> None:
    settings.SFTP_PORT = settings.HEADEND_PORT
    assert "headend.E001" in " ".join(each.text for each in services.check_settings())


def test_a_port_is_free_or_ours_or_used_by_another_program(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HEADEND_HOME = tmp_path
    settings.HEADEND_PORT, settings.SFTP_PORT = unused_port(), unused_port()
    assert {each.state for each in host.check_ports()} == {State.OK}
    lock = lock_home(tmp_path)
    assert {each.state for each in host.check_ports()} == {State.WARNING}
    os.close(lock)
    monkeypatch.setattr(host, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", settings.SFTP_PORT)):
        web, sftp = host.check_ports()
    assert (web.state, sftp.state) == (State.OK, State.FAILED)
    assert sftp.hint == "Set SFTP_PORT to a free port."


def test_an_address_of_another_host_is_a_wrong_host_and_no_used_port(settings: Settings) -> None:
    settings.HEADEND_HOST = "192.0.2.1"  # an address for documentation, which no host has
    with pytest.raises(ImproperlyConfigured, match="set HEADEND_HOST to an address of this host"):
        check_port("HEADEND_PORT", unused_port())


def test_a_host_on_which_setup_has_not_run_is_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.HEADEND_HOME = tmp_path
    for collected, expected in ((True, State.OK), (False, State.WARNING)):
        monkeypatch.setattr(host, "static_files_are_collected", lambda found=collected: found)
        assert host.check_home()[0].state == expected
    settings.HEADEND_HOME = tmp_path / "new"
    [finding] = host.check_home()
    assert finding.state == State.FAILED
    assert finding.hint == "Run `python manage.py setup` on this host."


@pytest.mark.parametrize(
    ("free", "state"), [(10**12, State.OK), (2 * 10**9, State.WARNING), (10**8, State.FAILED)]
)
def test_little_disk_space_is_reported_with_the_settings_of_the_folders(
    monkeypatch: pytest.MonkeyPatch, export_folder: Path, free: int, state: State
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: Disk(free))
    found = host.check_disks()[0]
    assert found.state == state
    assert "EXPORTS_URL" in found.text
    assert ("EXPORTS_RETENTION_DAYS" in found.hint) == (state != State.OK)


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('FATAL:  password authentication failed for user "headend"', "Correct the user and the password"),
        ('FATAL:  database "headend" does not exist', "Create the database"),
        ("connection to server failed: Connection refused", "check that the server runs"),
        ("cannot execute CREATE TABLE in a read-only transaction", "not to a replica"),
        ('root certificate file "/etc/headend/rds.pem" does not exist', "Set sslrootcert in"),
        ("SSL error: certificate verify failed", "Set sslrootcert in DATABASE_URL to a file"),
        ("database or disk is full", "Make space on the disk"),
        ('could not extend file "base/1/2": No space left on device', "Make space on the disk"),
        ('invalid sslmode value: "verfy-full"', "Correct DATABASE_URL"),
        ("permission denied for schema public", "the permission to create tables"),
        ('table "exports_supplier" already exists', "Another setup may be running"),
    ],
)  # fmt: skip
def test_an_error_of_the_database_says_what_to_do(
    db: None, monkeypatch: pytest.MonkeyPatch, message: str, hint: str
) -> None:
    def refuse() -> None:
        raise OperationalError(f"{message}\nmore lines of the driver")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", refuse)
        state, line = only(database.check_database())
    assert state == State.FAILED
    assert hint in line
    assert "more lines" not in line
