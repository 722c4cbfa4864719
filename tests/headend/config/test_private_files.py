"""Other users of the machine can read neither the database nor the exports, the secrets and the readings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from celery.signals import beat_init, worker_init
from pytest_django.fixtures import Settings

from headend import command_line
from headend.config.checks import folders_are_private
from headend.config.folders import Folder
from headend.config.private_files import create_private_files, make_private, shared_folders
from headend.http import gunicorn_config


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    """A home folder as version 1.0 created it, with the usual permissions of the system."""
    home = tmp_path / "home"
    (home / "exports" / "request").mkdir(parents=True)
    (home / "headend.sqlite3-wal").write_text("rows")
    (home / "exports" / "request" / "file.gz").write_text("readings")
    (home / "program").write_text("#!/bin/sh")
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.name == "program" else 0o644)
    (home / "link").symlink_to(home / "program")
    return home


def modes(home: Path) -> dict[str, str]:
    return {
        str(path.relative_to(home)): oct(path.lstat().st_mode & 0o777)
        for path in [home, *home.rglob("*")]
        if not path.is_symlink()
    }


def test_an_old_home_folder_becomes_private(old_home: Path) -> None:
    assert make_private(old_home) == []
    assert modes(old_home) == {
        ".": "0o700",
        "exports": "0o700",
        "exports/request": "0o700",
        "exports/request/file.gz": "0o600",
        "headend.sqlite3-wal": "0o600",
        "program": "0o700",
    }


def test_a_file_in_a_private_folder_becomes_private(old_home: Path) -> None:
    make_private(old_home)
    file = old_home / "exports" / "request" / "file.gz"
    file.chmod(0o644)
    assert make_private(old_home) == []
    assert modes(old_home)["exports/request/file.gz"] == "0o600"


def test_links_that_lead_out_of_the_home_folder_are_not_followed(
    old_home: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("text")
    (shared / "file").chmod(0o644)
    shared.chmod(0o755)
    (old_home / "link to a folder").symlink_to(shared)
    (old_home / "link to a file").symlink_to(shared / "file")
    make_private(old_home)
    assert modes(shared) == {".": "0o755", "file": "0o644"}


def test_the_home_folder_itself_may_be_a_link(old_home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(old_home)
    make_private(tmp_path / "link")
    assert modes(old_home)["."] == "0o700"


def test_a_folder_that_is_shared_on_purpose_is_left_alone_and_reported(
    tmp_path: Path, old_home: Path, settings: Settings
) -> None:
    shared = Folder("EXPORTS_URL", tmp_path / "shared")
    shared.path.mkdir()
    shared.path.chmod(0o750)
    make_private(old_home)
    assert shared.path.stat().st_mode & 0o777 == 0o750
    sentence = f"EXPORTS_URL: other users of this machine can read {shared.path}."
    assert shared_folders(old_home, [shared]) == [sentence]
    settings.HEADEND_HOME, settings.FOLDERS = old_home, [Folder("HEADEND_HOME", old_home), shared]
    [warning] = folders_are_private()
    assert (warning.msg, warning.id, warning.is_serious()) == (sentence, "headend.W002", False)
    shared.path.chmod(0o700)
    assert folders_are_private() == []


def test_a_folder_of_another_user_is_reported(
    old_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chmod = Path.chmod

    def refuse(path: Path, mode: int) -> None:
        if path.name == "exports":
            raise PermissionError(1, "Operation not permitted", str(path))
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", refuse)
    [problem] = make_private(old_home)
    sentence = f"{old_home / 'exports'} cannot be made private: Operation not permitted."
    assert problem == sentence
    assert modes(old_home)["exports/request/file.gz"] == "0o600"


def test_new_files_are_private(tmp_path: Path) -> None:
    create_private_files()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("text")
    assert modes(tmp_path / "folder") == {".": "0o700", "file": "0o600"}


@pytest.mark.filterwarnings("ignore::celery.exceptions.FixupWarning")
def test_every_kind_of_process_creates_private_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def umask_after(start: Callable[[], object]) -> int:
        os.umask(0o022)
        start()
        return os.umask(0o022)

    monkeypatch.setattr(sys, "argv", ["manage.py", "help", "run"])
    monkeypatch.setattr(command_line, "restart_in_utf8_mode", lambda: None)
    monkeypatch.setattr(command_line, "print_every_character", lambda: None)
    assert umask_after(command_line.main) == 0o077
    assert umask_after(lambda: worker_init.send(sender=None)) == 0o077
    assert umask_after(lambda: beat_init.send(sender=None)) == 0o077
    assert umask_after(lambda: gunicorn_config.on_starting(None)) == 0o077
