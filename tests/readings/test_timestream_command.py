"""``manage.py timestream``: the table made, shown, removed."""

from __future__ import annotations

import io
import uuid

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from tests.services.timestream import TimestreamLocal


@pytest.fixture
def database(timestream: TimestreamLocal, settings: Settings) -> str:
    """A database that is not there yet, with a table ``readings`` in the deployment's setting."""
    name = f"d-{uuid.uuid4().hex}"
    settings.READINGS_URL = timestream.url_of(name, "readings")
    return name


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("timestream", *arguments, stdout=out)
    return out.getvalue()


def test_create_makes_what_the_reference_has(database: str) -> None:
    told = said("create")
    assert f"database {database}: made" in told
    assert "table readings: made" in told
    assert "168 h in the memory store and are kept 30 days" in told
    assert "(late readings) are on" in told


def test_what_is_done_already_is_left_as_it_is(database: str) -> None:
    said("create", "--memory-hours", "24", "--magnetic-days", "7")
    told = said("create")
    assert f"database {database}: there already" in told
    assert "table readings: there already" in told
    assert "24 h in the memory store and are kept 7 days" in told


def test_status_of_what_is_not_there_says_what_to_do(database: str) -> None:
    assert "is not there; `manage.py timestream create` makes it" in said("status")


def test_destroy_asks_to_be_sure(database: str) -> None:
    said("create")
    with pytest.raises(CommandError, match=r"every reading in it.*Say it with --yes"):
        said("destroy")
    assert "ACTIVE" in said("status")


def test_destroy_removes_the_table_and_an_empty_database(database: str) -> None:
    said("create")
    told = said("destroy", "--yes")
    assert f"table {database}.readings: removed" in told
    assert f"database {database}: removed" in told
    assert "is not there" in said("status")
    assert "not there" in said("destroy", "--yes")


def test_a_database_with_another_table_stays(
    database: str, timestream: TimestreamLocal, settings: Settings
) -> None:
    said("create")
    settings.READINGS_URL = timestream.url_of(database, "others")
    said("create")
    assert f"database {database}" not in said("destroy", "--yes")
    settings.READINGS_URL = timestream.url_of(database, "readings")
    assert "ACTIVE" in said("status")


@pytest.mark.parametrize(
    ("option", "value"), [("--memory-hours", "0"), ("--magnetic-days", "73001")]
)
def test_a_retention_that_the_service_does_not_know_is_refused(
    database: str, option: str, value: str
) -> None:
    with pytest.raises(CommandError, match=f"{option} takes a whole number"):
        said("create", option, value)
    assert "is not there" in said("status")


def test_a_service_out_of_reach_is_one_line(settings: Settings) -> None:
    settings.READINGS_URL = (
        "timestream://devices/readings?region=us-east-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    )
    with pytest.raises(CommandError, match="AWS cannot be reached"):
        said("status")


def test_another_store_is_not_touched(settings: Settings) -> None:
    settings.READINGS_URL = "delta:///somewhere"
    with pytest.raises(CommandError, match="this is about timestream://"):
        said("create")
