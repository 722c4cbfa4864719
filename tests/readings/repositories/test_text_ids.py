"""Meter ids with characters that mean something in SQL, in parameters, in CSV and in patterns."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from readings import frame
from readings.repositories import ReadingsRepository
from readings.window import Window
from tests.readings.repositories.engines import A_MIDNIGHT
from tests.readings.repositories.version_model import follow, make_versions, same, valid_readings

IDS = sorted(
    [
        *["'", "a'b", "a''b", '"', '"quoted"', 'a"b', "\\", "a\\nb", "\\N", "a\\", "\\'", "`"],
        *["%", "a%sb", "{x}", "{meters:String}", "%00", "[1]", "NULL", "null", "1e5", "007"],
        *["=1+1", "a b", "a/b", "--", "a;b", "<b>", "é", "😀" * 64, "שלום", "a?b", "/*"],
    ]
)


def test_a_meter_with_any_id_is_stored_and_found(repository: ReadingsRepository) -> None:
    times = [A_MIDNIGHT, A_MIDNIGHT + timedelta(minutes=5)]
    readings = make_versions(IDS, times, kw=1.0, kwh=None)
    assert repository.write(readings) == len(readings)
    assert repository.write(readings) == 0
    corrected = readings.head(len(IDS)).with_columns(
        pl.col("arrival_time") + timedelta(hours=1), kw=pl.lit(2.0)
    )
    assert repository.write(corrected, corrections=True) == len(IDS)
    assert repository.write(corrected, corrections=True) == 0
    versions = pl.concat([readings, corrected])
    window = Window(A_MIDNIGHT)
    assert same(follow(repository, window, 31), valid_readings(versions, window))
    snapshot = repository.snapshot()
    for device_ids in [IDS[:1], *(IDS[n::9] for n in range(9))]:
        of_meters = Window(A_MIDNIGHT, device_ids=tuple(device_ids))
        page = snapshot.page(of_meters, offset=0, size=9, columns=frame.FULL_COLUMNS).readings
        assert same(page, valid_readings(versions, of_meters)), device_ids
    assert snapshot.meter_summaries(IDS)["device_id"].to_list() == IDS
