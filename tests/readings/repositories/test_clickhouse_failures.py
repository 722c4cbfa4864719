"""What an operator reads if ClickHouse cannot be used: one sentence, without the password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from readings.repositories import ReadingsRepository, open_repository, open_store
from readings.repositories.clickhouse.client import MIN_VERSION
from readings.repository_errors import RepositoryUnavailableError
from tests.services.clickhouse import PASSWORD, ClickHouseLocal

GRANTS = Path(__file__).parents[3] / "docs" / "clickhouse-grants.sql"


@pytest.fixture
def url(clickhouse: ClickHouseLocal) -> Iterator[str]:
    """The ``READINGS_URL`` of a database without tables."""
    with clickhouse.new_database() as url:
        yield url


def sentence_of(repository: ReadingsRepository) -> str:
    """Return the message of a repository that cannot be used."""
    with pytest.raises(RepositoryUnavailableError) as refused:
        repository.snapshot()
    message = str(refused.value)
    assert "\n" not in message
    assert PASSWORD not in message
    assert quote(PASSWORD, safe="") not in message
    return message


def test_a_missing_table_is_created_by_check(url: str) -> None:
    repository = open_repository(url)
    assert "manage.py store create" in sentence_of(repository)
    repository.check()
    assert repository.snapshot().meter_count() == 0


def test_a_missing_database_is_named(clickhouse: ClickHouseLocal) -> None:
    repository = open_repository(clickhouse.url_of("missing"))
    message = (
        "The database missing does not exist. Create it in ClickHouse, or correct READINGS_URL."
    )
    assert sentence_of(repository).startswith(message)
    with pytest.raises(RepositoryUnavailableError, match="The database missing does not exist"):
        repository.check()


def test_a_wrong_password_is_named(clickhouse: ClickHouseLocal) -> None:
    wrong = clickhouse.url_of("headend").replace(quote(PASSWORD, safe=""), "other")
    sentence = sentence_of(open_repository(wrong))
    assert sentence.startswith("ClickHouse rejects the user or the password of READINGS_URL.")
    assert "other" not in sentence


def test_a_missing_permission_is_named(clickhouse: ClickHouseLocal, url: str) -> None:
    # chDB has no access control; this statement is one that its user may not run.
    clickhouse.substitute("CREATE TABLE", "CREATE USER another")
    with pytest.raises(RepositoryUnavailableError, match="the user headend is missing; docs/click"):
        open_repository(url).check()


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("CREATE TABLE {}.readings (a Int8) ENGINE = MergeTree ORDER BY a", "its engine is MergeTree"),
        (
            "CREATE TABLE {0}.copy AS {0}.readings ENGINE = ReplacingMergeTree(precedence)"
            " PARTITION BY toYYYYMM(time) ORDER BY (time, device_id, correction)",
            "its partition key is 'toYYYYMM(time)', not 'toYYYYMMDD(time)'",
        ),
        (
            "CREATE TABLE {0}.copy AS {0}.readings ENGINE = ReplacingMergeTree(precedence)"
            " PARTITION BY toYYYYMMDD(time) ORDER BY (time, device_id)",
            "its sorting key is 'time, device_id', not 'time, device_id, correction'",
        ),
        ("ALTER TABLE {}.readings DROP COLUMN kw", "its column kw is missing, not Nullable(Float64)"),
        ("ALTER TABLE {}.readings MODIFY COLUMN load Nullable(Int32)", "its column load is Nullable(Int32), not Nullable(Int64)"),
    ],
)  # fmt: skip
def test_a_table_of_another_shape_is_refused(
    clickhouse: ClickHouseLocal, url: str, statement: str, difference: str
) -> None:
    database = url.rpartition("/")[2].partition("?")[0]
    if "CREATE TABLE {}.readings" not in statement:
        open_store(url).create()
    clickhouse.run(statement.format(database))
    if ".copy" in statement:
        clickhouse.run(f"EXCHANGE TABLES {database}.copy AND {database}.readings")
    for use in (open_repository(url).check, open_repository(url).snapshot):
        expected = f"{database}.readings is not a table of headend: {difference}"
        with pytest.raises(RepositoryUnavailableError, match=re.escape(expected)):
            use()


def test_an_old_server_is_refused(clickhouse: ClickHouseLocal, url: str) -> None:
    clickhouse.substitute("SELECT version()", "SELECT '18.16.1', 'UTC'")
    sentence = sentence_of(open_repository(url))
    oldest = ".".join(map(str, MIN_VERSION))
    assert sentence == (
        f"The server is ClickHouse 18.16.1; headend needs {oldest} or newer. Upgrade the server."
    )


def test_a_server_that_cannot_be_reached_is_named() -> None:
    repository = open_repository("clickhouse://me:secret@127.0.0.1:9/headend?secure=off")
    sentence = (
        "ClickHouse at 127.0.0.1:9 cannot be reached: [Errno 111] Connection refused. Check that the server runs, and"
        " the host and the port of READINGS_URL. With secure=off, the port must be the one for HTTP."
    )
    assert sentence_of(repository) == sentence


def test_a_port_without_tls_is_named(clickhouse: ClickHouseLocal) -> None:
    plain = clickhouse.url_of("headend").replace("secure=off", "secure=on")
    assert sentence_of(open_repository(plain)).endswith(
        "cannot be reached: the port does not use TLS. Use the port for HTTPS, or add ?secure=off to READINGS_URL."
    )


def test_a_file_of_certificates_that_does_not_exist_is_named(clickhouse: ClickHouseLocal) -> None:
    url = clickhouse.url_of("headend").replace("secure=off", "ca_cert=/no/such/file")
    assert sentence_of(open_repository(url)).endswith(
        "the file /no/such/file does not exist. Correct ca_cert in READINGS_URL."
    )


def test_a_failing_query_is_unavailable_and_its_error_is_named(
    clickhouse: ClickHouseLocal, url: str
) -> None:
    repository = open_repository(url)
    repository.check()
    clickhouse.substitute("system.parts", "SELECT throwIf(1, 'disk is broken')")
    sentence = sentence_of(repository)
    assert sentence.startswith("ClickHouse refused a query. (code 395: disk is broken")


def test_the_documented_grants_are_valid_statements(clickhouse: ClickHouseLocal) -> None:
    text = re.sub(r"--.*", "", GRANTS.read_text(encoding="utf-8"))
    statements = [each.strip() for each in text.split(";") if each.strip()]
    assert len(statements) > 3
    for statement in statements:
        assert clickhouse.run(f"EXPLAIN AST {statement}")
