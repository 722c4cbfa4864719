"""Rows that the tests write, and functions that write and query them.

The functions of these tests import awswrangler and pandas, not the modules: every process of pytest imports the modules,
and pandas would take it a second.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    import pandas as pd

DATABASE = "fleet"
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(microsecond=0, tzinfo=None)


def queried(sql: str) -> pd.DataFrame:
    """Return the result of a query as awswrangler's data frame."""
    import awswrangler as wr
    import pandas as pd

    frame = wr.timestream.query(sql)
    assert isinstance(frame, pd.DataFrame)
    return frame


def readings(rows: int) -> pd.DataFrame:
    """Return readings of one meter, one per second, from two hours ago on."""
    import pandas as pd

    return pd.DataFrame(
        {
            "time": [NOW - 2 * HOUR + timedelta(seconds=n) for n in range(rows)],
            "device_id": "m-1",
            "kw": [n / 8 for n in range(rows)],
            "load": range(rows),
        }
    )


def write_readings(table: str, rows: int) -> pd.DataFrame:
    """Write ``rows`` readings with awswrangler and return them."""
    import awswrangler as wr

    frame = readings(rows)
    rejected = wr.timestream.write(
        frame,
        "fleet",
        table,
        time_col="time",
        measure_col=["kw", "load"],
        dimensions_cols=["device_id"],
        measure_name="readings",
    )
    assert rejected == []
    return frame


def answer_of(query: Any, sql: str, **arguments: Any) -> Any:
    """Return the first page of a query that has rows, or the last page. A slow machine gets empty pages before it."""
    answer = query.query(QueryString=sql, **arguments)
    while not answer["Rows"] and "NextToken" in answer:
        answer = query.query(QueryString=sql, NextToken=answer["NextToken"], **arguments)
    return answer


def record(
    number: int = 0, *, kw: float = 1.0, at: datetime | None = None, **attributes: Any
) -> dict[str, Any]:
    """Return a record for boto3's ``write_records``: meter ``m-NUMBER``, ``NUMBER`` seconds after an hour ago."""
    instant = at or NOW - HOUR + timedelta(seconds=number)
    return {
        "Time": str(int(instant.replace(tzinfo=UTC).timestamp() * 1000)),
        "Dimensions": [{"Name": "device_id", "Value": f"m-{number}"}],
        "MeasureName": "readings",
        "MeasureValueType": "MULTI",
        "MeasureValues": [{"Name": "kw", "Value": str(kw), "Type": "DOUBLE"}],
        **attributes,
    }


def error_of(call: Any, **arguments: Any) -> ClientError:
    """Return the error of a call that must fail."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value
