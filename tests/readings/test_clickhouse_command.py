"""``manage.py clickhouse create --cluster``: its statements. The tests' engine parses them; it has no clusters."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from readings.repositories import open_repository, open_store
from readings.repositories.clickhouse.address import ClickHouseAddress
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.server_sql import ServerStatements
from readings.repositories.clickhouse.table import Layout, Table, alter_table, create_table
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.new_repository import create_repository
from tests.services.clickhouse import PASSWORD, ClickHouseLocal

START = datetime(2023, 2, 27, tzinfo=UTC)


@pytest.fixture
def url(clickhouse: ClickHouseLocal, settings: Settings) -> Iterator[str]:
    """The setting ``READINGS_URL``, which names an empty database."""
    with clickhouse.new_database() as url:
        settings.READINGS_URL = url
        yield url


def statements() -> list[str]:
    out = io.StringIO()
    call_command("clickhouse", "create", "--cluster", "my-cluster", "--show", stdout=out)
    return [each.rstrip(";") for each in out.getvalue().splitlines()]


def test_the_engine_parses_the_statements_of_a_cluster(
    clickhouse: ClickHouseLocal, url: str
) -> None:
    shard, everything = statements()
    for statement in (shard, everything):
        assert "CreateQuery" in clickhouse.run(f"EXPLAIN AST {statement}")
        assert " ON CLUSTER `my-cluster` " in statement
    assert (
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', precedence)"
        in shard
    )
    assert "Distributed(`my-cluster`, " in everything
    assert everything.endswith(", `readings_shard`, toYYYYMMDD(time))")


def test_the_table_of_a_shard_differs_from_that_of_one_server_by_its_engine_only(url: str) -> None:
    database = url.rpartition("/")[2].partition("?")[0]
    shard = (
        statements()[0]
        .replace(" ON CLUSTER `my-cluster`", "")
        .replace("readings_shard", "readings")
    )
    engine = (
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', precedence)"
    )
    assert shard.replace(engine, "ReplacingMergeTree(precedence)") == create_table(database)


def test_the_engine_parses_the_queries_of_a_cluster(clickhouse: ClickHouseLocal) -> None:
    of_cluster = ServerStatements("headend", "my-cluster")
    for query in (of_cluster.partitions(), of_cluster.drop_partition("20230227")):
        text = re.sub(r"\{\w+:String\}", "'value'", query.text)
        assert clickhouse.run(f"EXPLAIN AST {text}")
        assert "`my-cluster`" in text
        assert "readings_shard" in text + str(query.parameters)


def test_the_engine_parses_the_statements_that_change_a_table_of_a_cluster(
    clickhouse: ClickHouseLocal,
) -> None:
    layout = Layout("my-cluster", frozenset({"kwh", "quality"}), frozenset({"load"}))
    statements = alter_table("headend", layout, ["kwh", "quality", "load"])
    assert ["readings_shard" in statement for statement in statements] == [True, False]
    for statement in statements:
        assert "ON CLUSTER `my-cluster` ADD COLUMN" in statement
        assert clickhouse.run(f"EXPLAIN AST {statement}")


def database_of(url: str) -> str:
    return ClickHouseAddress.of(url).database


def create_shard_table(clickhouse: ClickHouseLocal, database: str) -> None:
    clickhouse.run(f"CREATE TABLE {database}.readings_shard AS {database}.readings")


def show_as_distributed(clickhouse: ClickHouseLocal, database: str, *, times: int = 1) -> None:
    """Answer the next lookups of a table as a server with a distributed table does."""
    engine = f"Distributed(''main'', ''{database}'', ''readings_shard'', toYYYYMMDD(time))"
    distributed = f"SELECT 'Distributed', '{engine}', '' AS a, '' AS b, '' AS c FORMAT ArrowStream"
    clickhouse.substitute("system.tables", distributed, times=times)


def test_a_distributed_table_over_a_shard_is_a_table_of_headend(
    clickhouse: ClickHouseLocal, url: str
) -> None:
    address = ClickHouseAddress.of(url)
    show_as_distributed(clickhouse, database_of(url))
    with pytest.raises(RepositoryUnavailableError, match="its table readings_shard is missing"):
        Table(address, Client(address)).check()
    open_store(url).create()
    create_shard_table(clickhouse, database_of(url))
    show_as_distributed(clickhouse, database_of(url))
    assert Table(address, Client(address)).check().cluster == "main"


def test_destroy_deletes_no_table_of_a_cluster(clickhouse: ClickHouseLocal, url: str) -> None:
    store = open_store(url)
    store.create()
    create_shard_table(clickhouse, database_of(url))
    # The table is looked up to see whether it exists, and again to see what it is.
    show_as_distributed(clickhouse, database_of(url), times=2)
    with pytest.raises(RepositoryUnavailableError, match="on all servers of the cluster main"):
        store.destroy()
    assert store.exists()


def test_destroy_deletes_no_table_of_another_program(clickhouse: ClickHouseLocal, url: str) -> None:
    database = database_of(url)
    clickhouse.run(f"CREATE TABLE {database}.readings (a Int64) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(RepositoryUnavailableError, match="is not a table of headend"):
        open_store(url).destroy()
    assert clickhouse.run(f"EXISTS TABLE {database}.readings") == "1\n"


def test_another_engine_and_a_server_without_the_cluster_are_refused(
    url: str, settings: Settings
) -> None:
    with pytest.raises(CommandError, match="ClickHouse refused a query"):
        call_command("clickhouse", "create", "--cluster", "my-cluster")
    settings.READINGS_URL = "timestream://devices/readings"
    with pytest.raises(CommandError, match="this command needs clickhouse://user:password@host"):
        call_command("clickhouse", "create", "--cluster", "my-cluster")


@pytest.mark.django_db
def test_the_store_is_created_shown_filled_and_destroyed(
    url: str, tmp_path: Path, settings: Settings
) -> None:
    settings.HEADEND_HOME = tmp_path
    delta = f"delta://{tmp_path / 'delta'}"
    readings = readings_for(Fleet(devices=30), START)
    create_repository(delta).write(readings)
    out = io.StringIO()
    call_command("store", "create", stdout=out)
    call_command("store", "copy", delta, url, stdout=out)
    call_command("store", "status", stdout=out)
    assert (
        open_repository(url)
        .snapshot()
        .page(Window(START), offset=0, size=99)
        .readings.equals(readings)
    )
    call_command("store", "destroy", "--yes", stdout=out)
    printed = out.getvalue()
    for line in (
        "readings: created", "engine    ClickHouse", "readings  30, on 1 day", ":***@", "readings: deleted",
    ):  # fmt: skip
        assert line in printed, printed
    assert PASSWORD not in printed
    assert quote(PASSWORD, safe="") not in printed
