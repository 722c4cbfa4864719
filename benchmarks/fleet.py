"""``python -m benchmarks.fleet``: draw the mixed fleet, and print the figures of docs/fleet.md. Takes a minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.curves import FOLDER, LINES, NOTE, STYLE, with_dark_colours
from benchmarks.fleet_statistics import (
    BDEW_CLASSES,
    Floats,
    coincidence,
    correlation_with_bdew,
    days_of_year,
    energy_of_year,
    fleet_of,
    full_load_hours,
    hourly_import,
    households,
)
from readings.simulation.arrivals import readings_for
from readings.simulation.customers import customer_classes
from readings.simulation.fleet import Fleet
from readings.simulation.town import CLASSES

WINTER, SUMMER = date(2026, 1, 14), date(2026, 6, 17)
METERS = 2_000
_COLOURS = (*LINES, NOTE, "#5d4037", "#00838f")
_QUANTILES = (0.05, 0.5, 0.95)


def main() -> None:
    """Draw the pictures and print the figures."""
    for file in draw(FOLDER, METERS):
        print(file)
    for line in figures():
        print(line)


def draw(folder: Path, meters: int) -> list[Path]:
    """Draw the day, the week and the year of a fleet, and the week of six meters. Return the files."""
    fleet = Fleet(devices=meters, interval_minutes=15, profile="mixed")
    files = []
    for name, title, figure in _figures(fleet):
        file = folder / f"fleet-{name}.svg"
        with mpl.rc_context(STYLE):
            metadata = {"Date": None, "Title": title}
            figure.savefig(file, format="svg", metadata=metadata)
        file.write_text(with_dark_colours(file.read_text(encoding="utf-8")), encoding="utf-8")
        files.append(file)
    return files


def _figures(fleet: Fleet) -> Iterator[tuple[str, str, Figure]]:
    with mpl.rc_context(STYLE):
        yield "day", "A day of the simulated fleet", _days(fleet)
        yield "week", "A week of the simulated fleet", _week(fleet)
        yield "year", "A year of the simulated fleet", _year(fleet)
        yield "meters", "A week of six simulated meters", _six_meters(fleet)


def _days(fleet: Fleet) -> Figure:
    """Return the mean power of each class on a day of winter and a day of summer."""
    figure, panels = _panels(1, 2, 4.4)
    for panel, day, season in zip(panels, (WINTER, SUMMER), ("14 January", "17 June"), strict=True):
        times, kw = _power(fleet, day, 1)
        _plot_classes(panel, fleet, times, kw)
        panel.set(
            xlabel=f"hour of {season} 2026", ylabel="kW, mean of a class", xticks=range(0, 25, 3)
        )
    _legend(figure)
    return figure


def _week(fleet: Fleet) -> Figure:
    """Return the mean power of each class in a week that begins on a Monday."""
    figure, [panel] = _panels(1, 1, 4.4)
    hourly = Fleet(devices=fleet.devices, interval_minutes=60, profile="mixed")
    times, kw = _power(hourly, date(2026, 3, 9), 7)
    _plot_classes(panel, hourly, times / 24, kw)
    panel.set(
        xticks=np.arange(7) + 0.5, xticklabels=["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    )
    panel.set(ylabel="kW, mean of a class")
    _legend(figure)
    return figure


def _year(fleet: Fleet) -> Figure:
    """Return the mean power of each class on every day of a year."""
    figure, [panel] = _panels(1, 1, 4.4)
    daily = Fleet(devices=fleet.devices, interval_minutes=1440, profile="mixed")
    first = datetime(2026, 1, 2, tzinfo=UTC)
    days = [first + timedelta(days=n) for n in range(365)]
    kw = np.array([readings_for(daily, day)["kw"].to_numpy() for day in days])
    _plot_classes(panel, daily, np.arange(365.0), kw)
    starts = [(date(2026, month, 1) - date(2026, 1, 1)).days for month in range(1, 13)]
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    panel.set(ylabel="kW, mean of a class and a day", xticks=starts, xticklabels=months)
    _legend(figure)
    return figure


def _six_meters(fleet: Fleet) -> Figure:
    """Return the power of one meter of six classes in a week of spring."""
    figure, panels = _panels(3, 2, 6.6)
    classes = np.array(customer_classes(fleet, fleet.meters.device_id), dtype=str)
    times, kw = _power(fleet, date(2026, 3, 9), 7)
    shown = [*CLASSES[:5], CLASSES[7]]
    for panel, kind, colour in zip(panels, shown, _COLOURS, strict=False):
        meter = int(np.flatnonzero(classes == kind)[0])
        panel.plot(times / 24, kw[:, meter], color=colour, linewidth=0.9)
        panel.set_title(f"{_label(kind)}, {fleet.meters.load[meter]} kW", fontsize=9, color=NOTE)
        panel.set(xticks=range(8), ylabel="kW")
    return figure


def _panels(rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9.8, height), layout="constrained")
    figure.patch.set_visible(False)
    panels: Any = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.ravel():
        panel.patch.set_visible(False)
        panel.grid(visible=True, linewidth=0.5)
    return figure, list(panels.ravel())


def _power(fleet: Fleet, first: date, days: int) -> tuple[Floats, Floats]:
    """Return the hours of the intervals after local midnight, and the power by interval and meter."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(
        hours=2 if 4 <= first.month <= 9 else 1
    )
    count = days * 1440 // fleet.interval_minutes
    times = [start + (n + 1) * fleet.interval for n in range(count)]
    kw = np.array([readings_for(fleet, time)["kw"].to_numpy() for time in times])
    return (np.arange(count) + 0.5) * fleet.interval_minutes / 60, kw


def _plot_classes(panel: Axes, fleet: Fleet, times: Floats, kw: Floats) -> None:
    classes = np.array(customer_classes(fleet, fleet.meters.device_id), dtype=str)
    for kind, colour in zip(CLASSES, _COLOURS, strict=True):
        mean = kw[:, classes == kind].mean(axis=1)
        panel.plot(times, mean, color=colour, linewidth=1.1, label=_label(kind))


def _legend(figure: Figure) -> None:
    lines, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, labels, frameon=False, fontsize=9, ncols=4, loc="outside upper left")


def _label(kind: str) -> str:
    names = {"household_pv": "household with solar plant"}
    return names.get(kind, kind.replace("_", " ").replace("household ", "household with "))


def figures() -> Iterator[str]:
    """Yield the lines of the tables in docs/fleet.md."""
    yield "| class | base curve | correlation of the hours | energy of a year |"
    yield "|---|---|---|---|"
    days = days_of_year(2026, 5)
    for kind in CLASSES:
        curve = BDEW_CLASSES.get(kind)
        followed = f"{correlation_with_bdew(kind, METERS, days):.4f}" if curve else "none"
        energy = energy_of_year(kind, METERS, 2026)
        yield f"| `{kind}` | {curve.upper() if curve else 'none'} | {followed} | {energy:.4f} |"
    hours = hourly_import(fleet_of("household", 1_000), days_of_year(2026, 1))
    found = households(hours)
    yield ""
    for name, values in vars(found).items():
        low, middle, high = np.quantile(values, _QUANTILES)
        yield f"| {name.replace('_', ' ')} | {middle:.3g} | {low:.3g} to {high:.3g} |"
    yield ""
    per_household = hours.sum(axis=2).max() / hours.shape[2]
    for size, factor in coincidence(hours, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]).items():
        yield f"| {size} | {factor:.2f} | {factor * found.peak_kw.mean():.2f} kW |"
    yield f"peak of all: {per_household:.2f} kW per household"
    yield ""
    for town, (ours, theirs) in full_load_hours().items():
        yield f"| {town} | {ours:.0f} | {theirs:.0f} | {ours / theirs - 1:+.0%} |"


if __name__ == "__main__":
    main()
