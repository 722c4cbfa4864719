"""Two commands that would disturb each other wait, or one is refused."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from headend.config import service_urls
from headend.config.command_lock import ROTATE, SETUP, InUseError, one_at_a_time
from headend.management.commands import setup
from tests.services.servers import Postgres

LIMITS = "options=-c%20lock_timeout=20%20-c%20idle_in_transaction_session_timeout=60000"
"""Options of a connection to PostgreSQL: an administrator can set such limits for a user."""


def assert_the_second_waits_or_is_refused(
    homes: tuple[Path, Path], database: BaseDatabaseWrapper
) -> None:
    first, second = homes
    steps: list[str] = []
    waits = threading.Event()

    def say_that_it_waits() -> None:
        steps.append("second waits")
        waits.set()

    def set_up_too() -> None:
        with one_at_a_time(SETUP, second, database, on_wait=say_that_it_waits):
            steps.append("second begins")

    waiting = threading.Thread(target=set_up_too)
    with one_at_a_time(SETUP, first, database, on_wait=lambda: steps.append("first waits")):
        waiting.start()
        assert waits.wait(timeout=30)
        waiting.join(timeout=0.1)
        assert waiting.is_alive()
        with one_at_a_time(ROTATE, second, database):
            steps.append("another command")
        steps.append("first ends")
    waiting.join(timeout=30)
    assert steps == ["second waits", "another command", "first ends", "second begins"]
    with (
        one_at_a_time(ROTATE, first, database),
        pytest.raises(InUseError),
        one_at_a_time(ROTATE, second, database),
    ):
        pass


def test_a_second_command_in_the_same_home_folder_waits_or_is_refused(
    tmp_path: Path, db: None
) -> None:
    assert_the_second_waits_or_is_refused((tmp_path, tmp_path), connection)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_setup_says_once_that_it_waits_for_another_one(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    settings.HEADEND_HOME, settings.FOLDERS = tmp_path, []
    monkeypatch.setattr(setup.Command, "_create_what_is_missing", lambda command: None)
    printed = io.StringIO()
    waiting = threading.Thread(target=lambda: call_command("setup", stderr=printed))
    with one_at_a_time(SETUP, tmp_path, connection):
        waiting.start()
        while waiting.is_alive() and not printed.getvalue():
            waiting.join(timeout=0.01)
    waiting.join(timeout=30)
    assert printed.getvalue().count("setup` is running with this home folder or database") == 1


def test_a_second_command_on_another_host_with_the_same_database_waits_or_is_refused(
    tmp_path: Path, postgres: Postgres, django_db_blocker: DjangoDbBlocker
) -> None:
    """Also if the server limits how long a statement waits for a lock."""
    homes = tmp_path / "first", tmp_path / "second"
    for home in homes:
        home.mkdir()
    handler = ConnectionHandler({"default": service_urls.database(f"{postgres.url}?{LIMITS}")})
    with django_db_blocker.unblock():
        assert_the_second_waits_or_is_refused(homes, handler["default"])


def test_the_lock_in_the_database_has_no_time_limit_and_ends_soon_after_its_host_fails(
    tmp_path: Path, postgres: Postgres, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    handler = ConnectionHandler({"default": service_urls.database(f"{postgres.url}?{LIMITS}")})
    database = handler["default"]
    copies: list[BaseDatabaseWrapper] = []
    copy = database.copy

    def recorded() -> BaseDatabaseWrapper:
        copies.append(copy())
        return copies[-1]

    monkeypatch.setattr(database, "copy", recorded)
    with (
        django_db_blocker.unblock(),
        one_at_a_time(SETUP, tmp_path, database),
        copies[0].cursor() as cursor,
    ):
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("0",)
        cursor.execute("SHOW tcp_keepalives_idle")
        assert cursor.fetchone() == ("30",)
