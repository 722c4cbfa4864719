"""``manage.py timestream``: create, show and delete the table."""

from __future__ import annotations

import io
import uuid

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from tests.services.timestream import TimestreamLocal


@pytest.fixture
def database(timestream: TimestreamLocal, settings: Settings) -> str:
    """The name of a database that does not exist. ``READINGS_URL`` names its table ``readings``."""
    name = f"d-{uuid.uuid4().hex}"
    settings.READINGS_URL = timestream.url_of(name, "readings")
    return name


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("timestream", *arguments, stdout=out)
    return out.getvalue()


def test_create_makes_a_table_like_that_of_the_reference(database: str) -> None:
    output = run("create")
    assert f"database {database}: created" in output
    assert "table readings: created" in output
    assert "168 h in the memory store and are deleted after 30 days" in output
    assert "(late readings) are on" in output


def test_create_leaves_an_existing_table_as_it_is(database: str) -> None:
    run("create", "--memory-hours", "24", "--magnetic-days", "7")
    output = run("create")
    assert f"database {database}: exists already" in output
    assert "table readings: exists already" in output
    assert "24 h in the memory store and are deleted after 7 days" in output


def test_the_status_of_a_missing_table_says_what_to_do(database: str) -> None:
    assert "does not exist. `python manage.py timestream create` creates it." in run("status")


def test_destroy_needs_a_confirmation(database: str) -> None:
    run("create")
    with pytest.raises(CommandError, match=r"every reading in it.*Add --yes to confirm"):
        run("destroy")
    assert "ACTIVE" in run("status")


def test_destroy_deletes_the_table_and_an_empty_database(database: str) -> None:
    run("create")
    output = run("destroy", "--yes")
    assert f"table {database}.readings: deleted" in output
    assert f"database {database}: deleted" in output
    assert "does not exist" in run("status")
    assert "does not exist" in run("destroy", "--yes")


def test_a_database_with_another_table_is_not_deleted(
    database: str, timestream: TimestreamLocal, settings: Settings
) -> None:
    run("create")
    settings.READINGS_URL = timestream.url_of(database, "others")
    run("create")
    assert f"database {database}" not in run("destroy", "--yes")
    settings.READINGS_URL = timestream.url_of(database, "readings")
    assert "ACTIVE" in run("status")


@pytest.mark.parametrize(
    ("option", "value"), [("--memory-hours", "0"), ("--magnetic-days", "73001")]
)
def test_a_retention_outside_the_limits_of_the_service_is_refused(
    database: str, option: str, value: str
) -> None:
    with pytest.raises(CommandError, match=f"{option} takes a whole number"):
        run("create", option, value)
    assert "does not exist" in run("status")


def test_an_unreachable_service_is_an_error_of_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings.READINGS_URL = (
        "timestream://devices/readings?region=us-east-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    )
    with pytest.raises(CommandError, match="AWS cannot be reached"):
        run("status")


def test_another_kind_of_repository_is_refused(settings: Settings) -> None:
    settings.READINGS_URL = "delta:///somewhere"
    with pytest.raises(CommandError, match="this command needs timestream://"):
        run("create")
