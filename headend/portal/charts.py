"""Line charts as numbers and SVG paths for a template.

A chart is complete without a script. The style sheet sets its colours. ``data`` of a chart is what ``charts.js`` needs
to show the values under the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from headend.portal.chart_axes import (
    PLOT_BOTTOM,
    VIEW_BOX,
    GridLine,
    Label,
    grid_line,
    plot_data,
    time_labels,
    value_axis,
    x_of,
    y_of,
)
from headend.portal.number_text import with_unit
from readings.window import HOUR

MAX_POINTS = 2_000
"""A line chart with more points is downsampled: a screen has fewer columns."""

_DIGITS = 6
"""The significant digits of the values for ``charts.js``."""

Point = tuple[datetime, float | None]
"""An instant and its value, None if the reading has no such value."""


@dataclass(frozen=True)
class Series:
    """The input for one curve: its points, ascending in time."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Curve:
    """One curve of a chart. The path has a gap where points are missing."""

    name: str
    path: str


@dataclass(frozen=True)
class Mark:
    """A circle that marks one reading. ``kind`` is also a class of the style sheet."""

    x: float
    y: float
    kind: str
    tooltip: str


@dataclass(frozen=True)
class LineChart:
    """One or more curves of values over time."""

    title: str
    unit: str
    curves: list[Curve]
    marks: list[Mark]
    grid_lines: list[GridLine]
    time_labels: list[Label]
    summary: str
    data: dict[str, Any]
    view_box: str = VIEW_BOX

    @property
    def mark_kinds(self) -> list[str]:
        """The kinds of marks in the chart, for its legend."""
        return sorted({mark.kind for mark in self.marks})


def line_chart(
    title: str,
    unit: str,
    points: Sequence[Point],
    start: datetime,
    end: datetime,
    *,
    span: timedelta = timedelta(0),
    notes: Mapping[datetime, str] | None = None,
    partial: Collection[datetime] = (),
) -> LineChart:
    """Return a chart of one curve, see :func:`curve_chart`. ``notes`` are words about some points, which get a mark."""
    series = [Series("", points)]
    return curve_chart(title, unit, series, start, end, span=span, notes=notes, partial=partial)


def curve_chart(
    title: str,
    unit: str,
    series: Sequence[Series],
    start: datetime,
    end: datetime,
    *,
    span: timedelta = timedelta(0),
    stepped: bool = False,
    notes: Mapping[datetime, str] | None = None,
    partial: Collection[datetime] = (),
) -> LineChart:
    """Return a chart of values between two instants.

    If there are more than :data:`MAX_POINTS`, they are downsampled; the summary still describes all of them. The value
    axis contains 0 and every drawn value, also negative ones: a meter that exports energy has negative kW.

    Args:
        title: the heading.
        unit: the unit of all values.
        series: the curves. All of them have points at the same instants.
        start: the left end of the time axis.
        end: the right end.
        span: how much time after its instant a value describes, such as an hour; zero for a value of one instant.
        stepped: whether a value is drawn as a horizontal line as long as its span.
        notes: words about some instants, such as the quality of a reading. These points get a mark.
        partial: the points that have only a part of the energy of their hour or day. They are drawn. The summary does
            not count them, unless there are no other points.
    """
    group = math.ceil(max(len(each.points) for each in series) / MAX_POINTS) or 1
    drawn = [Series(each.name, downsample(each.points, MAX_POINTS)) for each in series]
    axis = value_axis([value for each in drawn for _, value in each.points if value is not None])
    width = span * group if stepped else timedelta(0)
    noted = notes or {}
    return LineChart(
        title,
        unit,
        [Curve(each.name, _path(each.points, start, end, axis, width)) for each in drawn],
        [
            _mark(point, noted[point[0]], start, end, axis)
            for point in series[0].points
            if point[0] in noted
        ],
        [grid_line(value, axis) for value in axis],
        time_labels(start, end),
        _summary(series, unit, partial, "day" if span > HOUR else "hour"),
        {
            **plot_data([time for time, _ in drawn[0].points], start, end),
            "low": axis[0],
            "high": axis[-1],
            "unit": unit,
            "series": [
                {"name": each.name, "values": [_rounded(value) for _, value in each.points]}
                for each in drawn
            ],
            "span": span.total_seconds() * group,
            "offset": width.total_seconds() / 2,
            "notes": _notes_by_index(series[0].points, noted, group),
        },
    )


def downsample(points: Sequence[Point], max_points: int) -> list[Point]:
    """Return at most ``max_points`` points: each is the mean of a group of neighbours, at the group's first time."""
    group_size = math.ceil(len(points) / max_points) if points else 1
    if group_size == 1:
        return list(points)
    groups = [points[first : first + group_size] for first in range(0, len(points), group_size)]
    return [(group[0][0], _mean([value for _, value in group])) for group in groups]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _path(
    points: Sequence[Point],
    start: datetime,
    end: datetime,
    axis: Sequence[float],
    width: timedelta,
) -> str:
    """Return the SVG path. It breaks at a point without a value, and where points are missing.

    Points are missing between two that are more than two median steps apart. A value with a ``width`` is drawn as a
    horizontal line of that time.
    """
    steps = sorted(later[0] - earlier[0] for earlier, later in pairwise(points))
    longest_step = width or 2 * (steps[len(steps) // 2] if steps else width)
    ends = [*(time for time, _ in points[1:]), end]
    commands = []
    previous: datetime | None = None
    for (time, value), next_time in zip(points, ends, strict=False):
        if value is None:
            previous = None
            continue
        x, y = x_of(time, start, end), y_of(value, axis)
        gap = previous is None or time - previous > longest_step
        commands.append(f"{'M' if gap else 'L'}{x:.1f} {y:.1f}")
        if width:
            commands.append(f"H{x_of(min(time + width, next_time, end), start, end):.1f}")
        previous = time
    return " ".join(commands)


def _mark(point: Point, note: str, start: datetime, end: datetime, axis: Sequence[float]) -> Mark:
    time, value = point
    y = PLOT_BOTTOM if value is None else y_of(value, axis)
    return Mark(round(x_of(time, start, end), 1), round(y, 1), note, f"{time:%H:%M} UTC: {note}")


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:z.{_DIGITS}g}")


def _notes_by_index(
    points: Sequence[Point], notes: Mapping[datetime, str], group: int
) -> dict[int, str]:
    """Return the notes by the index of the drawn point. A drawn point is the mean of ``group`` points."""
    found: dict[int, dict[str, None]] = {}
    for index, (time, _) in enumerate(points):
        if time in notes:
            found.setdefault(index // group, {})[notes[time]] = None
    return {index: ", ".join(words) for index, words in found.items()}


def _summary(series: Sequence[Series], unit: str, partial: Collection[datetime], step: str) -> str:
    """Return the text below the chart, which screen readers read as its description."""
    some_are_complete = any(time not in partial for time, _ in series[0].points)
    ignored = partial if some_are_complete else ()
    sentences = [_summary_of_curve(each, unit, ignored) for each in series]
    if ignored:
        sentences.append(f"Incomplete {step}s are not counted.")
    return " ".join(sentences)


def _summary_of_curve(series: Series, unit: str, ignored: Collection[datetime]) -> str:
    known = [
        (time, value) for time, value in series.points if value is not None and time not in ignored
    ]
    if not known:
        return "No readings in this window."
    low_time, low = min(known, key=lambda point: point[1])
    high_time, high = max(known, key=lambda point: point[1])
    summary = (
        f"minimum {with_unit(low, unit)} at {low_time:%Y-%m-%d %H:%M} UTC, "
        f"maximum {with_unit(high, unit)} at {high_time:%Y-%m-%d %H:%M} UTC, "
        f"last value {with_unit(known[-1][1], unit)}."
    )
    return f"{series.name}: {summary}" if series.name else "M" + summary.removeprefix("m")
