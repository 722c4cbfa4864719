"""Queries of the local Timestream with a boto3 client."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.services.timestream_local.rows import HOUR, NOW, answer_of, error_of, write_readings


def test_the_paginator_follows_every_page(table: str, query: Any) -> None:
    frame = write_readings(table, 2_345)
    pages = list(
        query.get_paginator("query").paginate(
            QueryString=f'SELECT load FROM "fleet"."{table}" ORDER BY time',
            PaginationConfig={"PageSize": 500},
        )
    )
    read = [int(row["Data"][0]["ScalarValue"]) for page in pages for row in page["Rows"]]
    assert read == frame["load"].tolist()
    assert pages[-1]["QueryStatus"]["ProgressPercentage"] == 100


def test_a_long_query_returns_a_page_without_rows_and_with_a_token(query: Any) -> None:
    first = query.query(QueryString=_LONG)
    assert first["Rows"] == []
    assert first["NextToken"]
    query.cancel_query(QueryId=first["QueryId"])


def test_a_cancelled_query_fails_within_seconds(query: Any) -> None:
    first = query.query(QueryString=_LONG)
    began = time.monotonic()
    query.cancel_query(QueryId=first["QueryId"])
    error = error_of(query.query, QueryString=_LONG, NextToken=first["NextToken"])
    assert error.response["Error"]["Code"] == "QueryExecutionException"
    assert time.monotonic() - began < 30


_LONG = (
    "WITH ten AS (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5"
    " UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10) "
    "SELECT count(DISTINCT a.n + b.n * c.n * d.n + e.n * f.n + g.n * h.n * i.n + j.n) FROM ten a, ten b, ten c, "
    "ten d, ten e, ten f, ten g, ten h, ten i, ten j"
)


def test_a_token_is_valid_only_for_its_query(table: str, query: Any) -> None:
    write_readings(table, 20)
    page = answer_of(query, f'SELECT kw FROM "fleet"."{table}"', MaxRows=5)
    error = error_of(query.query, QueryString="SELECT 1", NextToken=page["NextToken"])
    assert error.response["Error"]["Code"] == "ValidationException"


def test_a_query_runs_only_once_per_client_token(query: Any) -> None:
    token = uuid.uuid4().hex
    first = query.query(QueryString="SELECT 1", ClientToken=token)
    assert query.query(QueryString="SELECT 1", ClientToken=token)["QueryId"] == first["QueryId"]
    error = error_of(query.query, QueryString="SELECT 2", ClientToken=token)
    assert error.response["Error"]["Code"] == "ConflictException"


def test_each_value_is_a_string_with_its_type_in_the_column_info(query: Any) -> None:
    answer = answer_of(
        query,
        "SELECT 1 AS a, 0.1 + 0.2 AS b, true AS c, TIMESTAMP '2023-02-27 16:00:00.123456789' AS d, "
        "'x' AS e, CAST(NULL AS double) AS f, CAST(7 AS bigint) AS g, 0.5e0 AS h",
    )
    [row] = answer["Rows"]
    values = [cell.get("ScalarValue") for cell in row["Data"]]
    assert [values[place] for place in (0, 2, 3, 4, 5, 6, 7)] == [
        "1", "true", "2023-02-27 16:00:00.123456000", "x", None, "7", "0.5",
    ]  # fmt: skip
    assert row["Data"][5] == {"NullValue": True}
    kinds = {column["Name"]: column["Type"]["ScalarType"] for column in answer["ColumnInfo"]}
    assert (kinds["c"], kinds["d"], kinds["e"], kinds["g"]) == (
        "BOOLEAN",
        "TIMESTAMP",
        "VARCHAR",
        "BIGINT",
    )


def test_the_functions_of_timestream_work(table: str, query: Any) -> None:
    write_readings(table, 600)
    answer = answer_of(
        query,
        f'SELECT bin(time, 5m) AS b, count(*) AS n FROM "fleet"."{table}" '
        "WHERE time BETWEEN ago(12h) AND now() GROUP BY bin(time, 5m) ORDER BY 1",
    )
    bins = [datetime.fromisoformat(row["Data"][0]["ScalarValue"][:19]) for row in answer["Rows"]]
    assert all(bin.minute % 5 == 0 and bin.second == 0 for bin in bins)
    assert sum(int(row["Data"][1]["ScalarValue"]) for row in answer["Rows"]) == 600


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT nothing",
        'SELECT * FROM "fleet"."missing"',
        "SELECT 1 LIMIT 1 OFFSET 1",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT getenv('HOME')",
        "COPY (SELECT 1) TO '/tmp/x'",
        "DROP TABLE fleet.t",
        "SELECT 1; SELECT 2",
        "SELECT * FROM information_schema.tables",
        "ATTACH '/tmp/x.db'",
    ],
)
def test_sql_that_timestream_does_not_support_is_a_validation_error(query: Any, sql: str) -> None:
    assert error_of(query.query, QueryString=sql).response["Error"]["Code"] == "ValidationException"


def test_a_query_bounded_in_time_scans_less(table: str, query: Any) -> None:
    write_readings(table, 3_000)
    sql = f'SELECT kw FROM "fleet"."{table}"'
    full_scan = answer_of(query, sql)["QueryStatus"]["CumulativeBytesScanned"]
    bounded = answer_of(
        query, f"{sql} WHERE time < TIMESTAMP '{NOW - 2 * HOUR + timedelta(seconds=30)}'"
    )
    assert full_scan == 3_000 * 8
    assert bounded["QueryStatus"]["CumulativeBytesScanned"] == 30 * 16
    assert bounded["QueryStatus"]["CumulativeBytesMetered"] == 10_000_000


def test_a_prepared_query_has_its_columns(table: str, query: Any) -> None:
    write_readings(table, 1)
    answer = query.prepare_query(
        QueryString=f'SELECT kw, time FROM "fleet"."{table}"', ValidateOnly=True
    )
    assert [column["Name"] for column in answer["Columns"]] == ["kw", "time"]


def test_tables_and_columns_are_shown(table: str, query: Any) -> None:
    write_readings(table, 1)
    shown = answer_of(query, "SHOW TABLES FROM fleet")["Rows"]
    assert [{"ScalarValue": table}] in [row["Data"] for row in shown]
    described = answer_of(query, f'DESCRIBE "fleet"."{table}"')["Rows"]
    columns = {row["Data"][0]["ScalarValue"]: row["Data"][1]["ScalarValue"] for row in described}
    assert columns == {
        "device_id": "varchar", "measure_name": "varchar", "time": "timestamp", "kw": "double", "load": "bigint",
    }  # fmt: skip
