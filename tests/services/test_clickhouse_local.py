"""The local ClickHouse: an unmodified client works with it as with a server."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

from tests.services.clickhouse import PASSWORD, USER, ClickHouseLocal

STRANGE = "quote ' backslash \\ tab \t line \n é"


@pytest.fixture
def client(clickhouse: ClickHouseLocal) -> Iterator[Client]:
    """A client with the library's default compression, in an empty database."""
    with clickhouse.new_database() as url:
        database = url.rpartition("/")[2].partition("?")[0]
        yield connect(clickhouse, database=database)


def connect(clickhouse: ClickHouseLocal, **options: Any) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=clickhouse.port,
        username=USER,
        password=PASSWORD,
        autogenerate_session_id=False,
        **options,
    )


def test_inserted_rows_are_selected_with_bound_parameters(client: Client) -> None:
    client.command("CREATE TABLE t (n Int32, text String) ENGINE = MergeTree ORDER BY n")
    client.insert("t", [[1, "a"], [2, STRANGE]], column_names=["n", "text"])
    query = "SELECT n FROM t WHERE text IN {texts:Array(String)}"
    assert client.query(query, {"texts": [STRANGE, "b"]}).result_rows == [(2,)]
    assert client.query("SELECT {text:String}", {"text": STRANGE}).first_row == (STRANGE,)


def test_instants_and_external_tables_are_sent(client: Client) -> None:
    noon = datetime(2023, 2, 27, 12, 0, 0, 123456, tzinfo=UTC)
    [(answer,)] = client.query("SELECT {t:DateTime64(6, 'UTC')}", {"t": noon}).result_rows
    assert answer == noon.replace(tzinfo=None)
    table = ExternalData(file_name="more", data=b"3\n4\n", fmt="TSV", structure="n Int32")
    assert client.raw_query("SELECT sum(n) FROM more", external_data=table) == b"7\n"


def test_settings_hold_for_one_call(client: Client) -> None:
    query = "SELECT getSetting('max_block_size') AS size"
    default = client.query(query).first_row
    assert client.query(query, settings={"max_block_size": 77}).first_row == (77,)
    assert client.query(query).first_row == default


def test_errors_have_their_code_and_name(client: Client) -> None:
    for query, code, name in (
        ("SELECT nothing", 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT * FROM nothing", 60, "UNKNOWN_TABLE"),
        ("SELECT 1 SETTINGS nothing = 1", 115, "UNKNOWN_SETTING"),
    ):
        with pytest.raises(DatabaseError) as refused:
            client.query(query)
        assert (refused.value.code, refused.value.name) == (code, name)


def test_a_get_call_can_only_read(clickhouse: ClickHouseLocal) -> None:
    read, write = "SELECT%201", "CREATE%20DATABASE%20x"
    credentials = f"user={USER}&password={PASSWORD.replace('%', '%25')}"
    with urllib.request.urlopen(f"{clickhouse.endpoint}/?{credentials}&query={read}") as answer:
        assert answer.read() == b"1\n"
        assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{clickhouse.endpoint}/?{credentials}&query={write}")
    assert refused.value.headers["X-ClickHouse-Exception-Code"] == "164"


def test_sessions_are_refused(clickhouse: ClickHouseLocal) -> None:
    with pytest.raises(DatabaseError, match="does not support session_id"):
        connect(clickhouse, session_id="one").query("SELECT 1")
