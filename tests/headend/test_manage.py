"""``manage.py`` ends with one line if a setting, a folder or the database cannot be used."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as project
from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility, get_commands, load_command_class
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from pytest_django.fixtures import Settings

from headend import __version__, command_line
from headend.config.database_errors import DATABASE_HINT
from headend.config.folders import Folder
from headend.http import gunicorn_config


@pytest.fixture
def missing(settings: Settings, tmp_path: Path) -> Path:
    """A home folder that cannot be created, because the folder around it is missing."""
    home = tmp_path / "missing" / "home"
    settings.FOLDERS = [Folder("HEADEND_HOME", home), Folder("EXPORTS_URL", home / "exports")]
    return home


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not restart this process in another encoding, and do not set up its logs again."""
    monkeypatch.setattr("django.setup", lambda: None)
    monkeypatch.setattr(command_line, "restart_in_utf8_mode", lambda: None)
    monkeypatch.setattr(command_line, "print_every_character", lambda: None)


def commands() -> list[str]:
    """Return the commands of headend, and those of Django that need a deployment. `doctor` lists all wrong settings."""
    ours = {
        name for name, app in get_commands().items() if app in ("headend", "readings", "exports")
    }
    return sorted([*(ours - {"doctor"}), "migrate", "createsuperuser", "shell", "dumpdata"])


def ending(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """Run ``manage.py`` with these words, and return the line with which it ends."""
    monkeypatch.setattr(sys, "argv", ["manage.py", *words])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return str(ended.value.code)


@pytest.mark.parametrize("command", commands())
def test_every_command_ends_with_one_line_if_the_home_folder_cannot_be_used(
    missing: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert ending(monkeypatch, command) == (
        f"headend: HEADEND_HOME: the folder {missing.parent} does not exist."
    )


def test_help_is_printed_although_the_home_folder_cannot_be_used(
    missing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "help", "load"])
    command_line.main()
    assert "usage: manage.py load" in capsys.readouterr().out
    assert ending(monkeypatch, "load", "--help") == "0"
    assert "usage: manage.py load" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OperationalError("connection failed\nIs the server running?"),
            f"DATABASE_URL: connection failed. {DATABASE_HINT}",
        ),
        (
            OperationalError('password authentication failed for user "x"'),
            'DATABASE_URL: password authentication failed for user "x". '
            "Correct the user and the password in DATABASE_URL.",
        ),
        (
            InterfaceError("the connection is closed"),
            f"DATABASE_URL: the connection is closed. {DATABASE_HINT}",
        ),
        (
            DatabaseError("file is not a database"),
            f"DATABASE_URL: file is not a database. {DATABASE_HINT}",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied."),
        (ImproperlyConfigured("LOG_LEVEL is wrong."), "LOG_LEVEL is wrong."),
    ],
)
def test_an_error_of_the_database_or_a_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(ManagementUtility, "execute", fail)
    assert ending(monkeypatch, "readings") == f"headend: {line}"


@pytest.mark.parametrize("lines", [1, 10_000])
@pytest.mark.parametrize("unfinished", [sys.exit, lambda: None])
def test_a_command_whose_output_is_not_read_to_the_end_prints_no_error(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    lines: int,
    unfinished: Callable[[], object],
) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    def write(_: object) -> None:
        sys.stdout.write("engine  Delta Lake on disk\n" * lines)
        unfinished()

    monkeypatch.setattr(ManagementUtility, "execute", write)
    with os.fdopen(writing, "w") as output, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        assert ending(monkeypatch, "store", "status") == str(128 + signal.SIGPIPE)
    assert capfd.readouterr().err == ""


def test_a_broken_connection_is_not_taken_for_a_closed_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(ManagementUtility, "execute", fail)
    monkeypatch.setattr(sys, "argv", ["manage.py", "readings"])
    with pytest.raises(BrokenPipeError):
        command_line.main()


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise IntegrityError("NOT NULL constraint failed")

    monkeypatch.setattr(ManagementUtility, "execute", fail)
    monkeypatch.setattr(sys, "argv", ["manage.py", "readings"])
    with pytest.raises(IntegrityError):
        command_line.main()


def test_the_web_server_ends_with_one_line_if_the_home_folder_cannot_be_used(missing: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        gunicorn_config.on_starting(None)
    assert str(ended.value.code) == (
        f"headend: HEADEND_HOME: the folder {missing.parent} does not exist."
    )


@pytest.mark.starts_processes
def test_a_command_runs_with_garbage_collection_that_skips_what_was_imported() -> None:
    code = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    run = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=project.BASE_DIR,
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout.split() == ["True", "True"]


@pytest.mark.parametrize("argument", ["--version", "version"])
def test_the_version_is_that_of_headend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argument: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", argument])
    command_line.main()
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    "name",
    sorted(
        name for name, app in get_commands().items() if app in ("headend", "readings", "exports")
    ),
)
def test_the_version_of_each_command_is_that_of_headend(name: str) -> None:
    assert load_command_class(get_commands()[name], name).get_version() == __version__
