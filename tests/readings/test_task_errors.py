"""A scheduled task logs one line if the database, the repository or a disk cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from django.db.backends.utils import CursorWrapper

from exports.schedule import BEAT_SCHEDULE
from headend.celery import app
from readings.repositories import ReadingsRepository
from readings.repository_errors import RepositoryUnavailableError
from readings.schedule import beat_schedule
from readings.task_errors import in_one_line

LogLines = Callable[[], list[dict[str, Any]]]
SCHEDULED = sorted(
    {
        (entry["task"], tuple(entry.get("args", ())))
        for entry in (BEAT_SCHEDULE | beat_schedule(simulation=True, counts_for_free=True)).values()
    }
    # Messages and other tasks start these.
    | {("exports.tasks.work", ()), ("exports.tasks.deliver", ())}
)


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "arguments"), SCHEDULED)
def test_a_task_with_an_unusable_database_is_at_most_one_line(
    store: ReadingsRepository,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: LogLines,
    name: str,
    arguments: tuple[int, ...],
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("connection failed\nIs the server running?")

    app.autodiscover_tasks(force=True)
    with monkeypatch.context() as outage:
        outage.setattr(CursorWrapper, "execute", fail)
        app.tasks[name](*arguments)
    errors = [line for line in log_lines() if line["level"] in ("WARNING", "ERROR")]
    assert all("exc_info" not in line for line in errors)
    # Without files of earlier requests, this task needs no database.
    if name != "exports.tasks.tidy":
        assert [line["error"] for line in errors] == ["connection failed"]


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("database is locked"),
        InterfaceError("the connection is closed"),
        DatabaseError("file is not a database"),
        RepositoryUnavailableError("The table cannot be read."),
        OSError(28, "No space left on device"),
    ],
)
def test_an_outage_is_one_line(error: Exception, log_lines: LogLines) -> None:
    @in_one_line
    def task() -> None:
        raise error

    task()
    [line] = log_lines()
    assert (line["level"], line["error"]) == ("ERROR", str(error))
    assert "exc_info" not in line


@pytest.mark.parametrize("error", [IntegrityError("x"), ProgrammingError("x"), ValueError("x")])
def test_a_bug_is_raised(error: Exception) -> None:
    @in_one_line
    def task() -> None:
        raise error

    with pytest.raises(type(error)):
        task()
