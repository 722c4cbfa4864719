"""What the tests write, and how they read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import awswrangler as wr
import pandas as pd
import pytest
from botocore.exceptions import ClientError

DATABASE = "fleet"
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(microsecond=0, tzinfo=None)


def queried(sql: str) -> pd.DataFrame:
    """What awswrangler makes of the answer."""
    answer = wr.timestream.query(sql)
    assert isinstance(answer, pd.DataFrame)
    return answer


def readings(rows: int) -> pd.DataFrame:
    """One meter's readings, a second apart."""
    return pd.DataFrame(
        {
            "time": [NOW - 2 * HOUR + timedelta(seconds=n) for n in range(rows)],
            "device_id": "m-1",
            "kw": [n / 8 for n in range(rows)],
            "load": range(rows),
        }
    )


def written(table: str, rows: int) -> pd.DataFrame:
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


def record(
    place: int = 0, *, kw: float = 1.0, at: datetime | None = None, **more: Any
) -> dict[str, Any]:
    moment = at or NOW - HOUR + timedelta(seconds=place)
    return {
        "Time": str(int(moment.replace(tzinfo=UTC).timestamp() * 1000)),
        "Dimensions": [{"Name": "device_id", "Value": f"m-{place}"}],
        "MeasureName": "readings",
        "MeasureValueType": "MULTI",
        "MeasureValues": [{"Name": "kw", "Value": str(kw), "Type": "DOUBLE"}],
        **more,
    }


def refused(call: Any, **arguments: Any) -> ClientError:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value
