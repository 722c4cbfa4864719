"""``manage.py process`` becomes one process of the Procfile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from headend.deployment import procfile


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The arguments and the environment of each program that this process would have become."""
    programs: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.chdir(".")
    monkeypatch.setattr(
        os, "execvpe", lambda _, arguments, environment: programs.append((arguments, environment))
    )
    return programs


@pytest.mark.parametrize("name", ["web", "worker", "deliveries", "beat", "sftp"])
def test_a_process_is_started_by_its_line_of_the_procfile(
    started: list[tuple[list[str], dict[str, str]]], name: str
) -> None:
    call_command("process", name)
    [(arguments, environment)] = started
    assert arguments == ["sh", "-c", procfile.commands()[name]]
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


def test_another_name_is_refused() -> None:
    with pytest.raises(CommandError, match=r"invalid choice: 'courier'.*'web'.*'sftp'"):
        call_command("process", "courier")
