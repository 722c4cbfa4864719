"""awswrangler, an independent client library, works with the local Timestream."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Literal

import pytest

from tests.services.servers import BUCKET
from tests.services.timestream_local.rows import HOUR, NOW, queried, readings, write_readings

UNLOAD_SECONDS = 60


def test_awswrangler_reads_what_it_wrote(table: str) -> None:
    frame = write_readings(table, 2_500)
    read = queried(f'SELECT * FROM "fleet"."{table}" ORDER BY time')
    assert read["time"].tolist() == frame["time"].tolist()
    assert read["kw"].tolist() == frame["kw"].tolist()
    assert read["load"].tolist() == frame["load"].tolist()
    assert set(read["device_id"]) == {"m-1"}
    assert set(read["measure_name"]) == {"readings"}


def test_awswrangler_reads_page_by_page(table: str) -> None:
    import awswrangler as wr

    write_readings(table, 2_500)
    pages = list(wr.timestream.query(f'SELECT kw FROM "fleet"."{table}"', chunked=True))
    assert [len(page) for page in pages] == [1_000, 1_000, 500]


def test_awswrangler_receives_the_rejected_records(table: str) -> None:
    import awswrangler as wr

    frame = readings(3)
    frame.loc[1, "time"] = NOW - timedelta(days=200)
    rejected = wr.timestream.write(
        frame, "fleet", table, time_col="time", measure_col="kw", dimensions_cols=["device_id"],
        measure_name="kw",
    )  # fmt: skip
    assert [int(each["RecordIndex"]) for each in rejected] == [1]
    assert "retention" in rejected[0]["Reason"]
    assert len(queried(f'SELECT * FROM "fleet"."{table}"')) == 2


def wait_for_manifest(path: str) -> None:
    """Wait until an UNLOAD has finished: ``unload_to_files`` does not wait for it."""
    import awswrangler as wr

    deadline = time.monotonic() + UNLOAD_SECONDS
    while not wr.s3.list_objects(path, suffix="_manifest.json"):
        assert time.monotonic() < deadline, path
        time.sleep(0.1)


@pytest.mark.parametrize("kind", ["CSV", "PARQUET"])
def test_awswrangler_unloads_readings_to_files(table: str, kind: Literal["CSV", "PARQUET"]) -> None:
    import awswrangler as wr
    import pandas as pd

    frame = write_readings(table, 5_000)
    path = f"s3://{BUCKET}/unload/{uuid.uuid4()}/"
    sql = f'SELECT time, kw, device_id FROM "fleet"."{table}"'
    if kind == "PARQUET":
        read = wr.timestream.unload(sql, path, unload_format=kind, keep_files=False)
        assert isinstance(read, pd.DataFrame)
        assert sorted(read["kw"]) == frame["kw"].tolist()
        assert sorted(read["time"]) == frame["time"].tolist()
        assert wr.s3.list_objects(path + "results/") == []
    else:
        wr.timestream.unload_to_files(sql, path, unload_format=kind, compression="NONE")
        wait_for_manifest(path)
        read = wr.s3.read_csv(path + "results/", names=["time", "kw", "device_id"])
        assert sorted(read["kw"]) == frame["kw"].tolist()
        assert sorted(read["time"])[0] == f"{frame['time'][0]}.000000000"


def test_awswrangler_unloads_by_partition(table: str) -> None:
    import awswrangler as wr
    import pandas as pd

    write_readings(table, 100)
    path = f"s3://{BUCKET}/unload/{uuid.uuid4()}/"
    sql = (
        f"SELECT kw, CASE WHEN kw < 5 THEN 'low' ELSE 'high' END AS half FROM \"fleet\".\"{table}\""
    )
    read = wr.timestream.unload(sql, path, partition_cols=["half"])
    assert isinstance(read, pd.DataFrame)
    assert read.groupby("half", observed=True)["kw"].count().to_dict() == {"low": 40, "high": 60}


def test_awswrangler_loads_a_file_in_a_batch(table: str) -> None:
    import awswrangler as wr

    frame = readings(3_000)
    epochs = frame["time"].astype("datetime64[ms]").astype("int64")
    report = wr.timestream.batch_load(
        frame.assign(measure="readings", time=epochs),
        f"s3://{BUCKET}/loads/{uuid.uuid4()}/",
        "fleet",
        table,
        "time",
        ["device_id"],
        ["kw", "load"],
        "measure",
        {"BucketName": BUCKET, "ObjectKeyPrefix": "reports"},
    )
    assert report["BatchLoadTaskDescription"]["TaskStatus"] == "SUCCEEDED"
    read = queried(f'SELECT kw, load FROM "fleet"."{table}" ORDER BY time')
    assert read["kw"].tolist() == frame["kw"].tolist()


def test_awswrangler_lists_and_deletes_tables(table: str) -> None:
    import awswrangler as wr

    assert "fleet" in wr.timestream.list_databases()
    assert table in wr.timestream.list_tables("fleet")
    wr.timestream.delete_table("fleet", table)
    assert table not in wr.timestream.list_tables("fleet")


def test_the_query_of_the_reference_portal_works(table: str) -> None:
    write_readings(table, 50)
    read = queried(
        f"""
        select offset, time, device_id, kw
        from (select row_number() over (order by time asc, device_id asc) offset, time, device_id, kw
              from "fleet"."{table}" where time >= '{NOW - 2 * HOUR}')
        where offset > 10 and offset <= 20 order by offset asc
        """
    )
    assert read["offset"].tolist() == list(range(11, 21))
