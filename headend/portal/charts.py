"""Charts as numbers and SVG paths, ready for a template. Only this module knows the geometry.

Coordinates are those of an SVG view box of :data:`WIDTH` by :data:`HEIGHT`, with the origin at the top left.
Charts need no script and contain no colours: the style sheet sets those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

WIDTH, HEIGHT = 1160, 220
VIEW_BOX = f"0 0 {WIDTH} {HEIGHT}"
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 56, 16, 10, 26
PLOT_WIDTH = WIDTH - MARGIN_LEFT - MARGIN_RIGHT
PLOT_HEIGHT = HEIGHT - MARGIN_TOP - MARGIN_BOTTOM
PLOT_BOTTOM = HEIGHT - MARGIN_BOTTOM
MAX_POINTS = 2_000
"""A line chart with more points is downsampled: a screen has fewer columns."""

_GRID_LINES = 5
_GRID_END = WIDTH - 8
_VALUE_LABEL_X = MARGIN_LEFT - 6
_TIME_LABEL_Y = HEIGHT - 6
_BAR_GAP = 0.4
_MIN_BAR_WIDTH = 0.5
_MAX_TIME_LABELS = 12
_TIME_STEPS = [timedelta(hours=hours) for hours in (1, 3, 6, 12, 24, 72, 168, 720)]
_ROUND_NUMBERS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)

Point = tuple[datetime, float]


@dataclass(frozen=True)
class Label:
    """A text of an axis and its position."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class GridLine:
    """A horizontal line across the plot, with the value that it marks."""

    x1: float
    x2: float
    y: float
    label: Label


@dataclass(frozen=True)
class LineChart:
    """Values over time. The path has a gap where points are missing."""

    title: str
    unit: str
    path: str
    grid_lines: list[GridLine]
    time_labels: list[Label]
    summary: str
    view_box: str = VIEW_BOX


@dataclass(frozen=True)
class BarValue:
    """The input for one bar: ``share`` is its part of the plot's height, from 0 to 1."""

    time: datetime
    share: float
    kind: str
    tooltip: str


@dataclass(frozen=True)
class Bar:
    """A bar in front of its track. The track has the plot's full height and shows what is missing."""

    x: float
    width: float
    y: float
    height: float
    kind: str
    tooltip: str
    track_y: float = MARGIN_TOP
    track_height: float = PLOT_HEIGHT


@dataclass(frozen=True)
class BarChart:
    """Bars side by side, ascending in time."""

    bars: list[Bar]
    time_labels: list[Label]
    summary: str
    view_box: str = VIEW_BOX


def line_chart(
    title: str, unit: str, points: Sequence[Point], start: datetime, end: datetime
) -> LineChart:
    """Return a line chart of points between two instants.

    ``points`` are ascending in time. More than :data:`MAX_POINTS` are downsampled; the summary still describes
    all of them. The value axis contains 0 and every drawn value, also negative ones: a meter that feeds power
    into the grid has negative kW.
    """
    drawn = downsample(points, MAX_POINTS)
    axis = _axis([value for _, value in drawn])
    return LineChart(
        title,
        unit,
        _path(drawn, start, end, axis),
        [_grid_line(value, axis) for value in axis],
        time_labels(start, end),
        _summary(points, unit),
    )


def bar_chart(values: Sequence[BarValue], start: datetime, end: datetime, summary: str) -> BarChart:
    """Return a bar chart of values between two instants; all bars have the same width."""
    width = PLOT_WIDTH / max(1, len(values))
    bars = [
        Bar(
            x=round(_x(value.time, start, end), 2),
            width=round(max(_MIN_BAR_WIDTH, width - _BAR_GAP), 2),
            y=round(PLOT_BOTTOM - PLOT_HEIGHT * value.share, 1),
            height=round(PLOT_HEIGHT * value.share, 1),
            kind=value.kind,
            tooltip=value.tooltip,
        )
        for value in values
    ]
    return BarChart(bars, time_labels(start, end), summary)


def time_labels(start: datetime, end: datetime) -> list[Label]:
    """Return labels at whole hours, days or months of 30 days, with a step that gives about twelve at most."""
    month = _TIME_STEPS[-1]
    months = math.ceil((end - start) / month / _MAX_TIME_LABELS) * month
    step = next((step for step in _TIME_STEPS if (end - start) / step <= _MAX_TIME_LABELS), months)
    pattern = "%H:%M" if step < timedelta(days=1) else "%d %b" if step <= month else "%b %Y"
    labels = []
    time = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while time <= end:
        if time >= start:
            labels.append(
                Label(round(_x(time, start, end), 1), _TIME_LABEL_Y, time.strftime(pattern))
            )
        time += step
    return labels


def downsample(points: Sequence[Point], max_points: int) -> list[Point]:
    """Return at most ``max_points`` points: each is the mean of a group of neighbours, at the group's first time."""
    group_size = math.ceil(len(points) / max_points) if points else 1
    if group_size == 1:
        return list(points)
    groups = [points[first : first + group_size] for first in range(0, len(points), group_size)]
    return [(group[0][0], sum(value for _, value in group) / len(group)) for group in groups]


def _path(points: list[Point], start: datetime, end: datetime, axis: list[float]) -> str:
    """Return the SVG path. It breaks where two points are more than two median steps apart."""
    steps = sorted(later[0] - earlier[0] for earlier, later in pairwise(points))
    median_step = steps[len(steps) // 2] if steps else timedelta(0)
    commands = []
    previous: datetime | None = None
    for time, value in points:
        gap = previous is None or time - previous > 2 * median_step
        commands.append(f"{'M' if gap else 'L'}{_x(time, start, end):.1f} {_y(value, axis):.1f}")
        previous = time
    return " ".join(commands)


def _grid_line(value: float, axis: list[float]) -> GridLine:
    y = _y(value, axis)
    return GridLine(MARGIN_LEFT, _GRID_END, y, Label(_VALUE_LABEL_X, y, _short_number(value)))


def _x(time: datetime, start: datetime, end: datetime) -> float:
    return MARGIN_LEFT + PLOT_WIDTH * ((time - start) / (end - start))


def _y(value: float, axis: list[float]) -> float:
    lowest, highest = axis[0], axis[-1]
    return PLOT_BOTTOM - PLOT_HEIGHT * (value - lowest) / (highest - lowest)


def _axis(values: Sequence[float]) -> list[float]:
    """Return the values of about five grid lines, ascending, for a value axis that contains 0 and all ``values``.

    The first one is at the bottom of the plot, the last one at the top.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low >= 0:
        end = _axis_end(high)
        return [end * n / _GRID_LINES for n in range(_GRID_LINES + 1)]
    step = _axis_end(max(0.0, high) - low) / _GRID_LINES
    first, last = math.floor(low / step), math.ceil(max(0.0, high) / step)
    return [step * n for n in range(first, last + 1)]


def _axis_end(largest: float) -> float:
    """Return the next round number that gives round labels on five grid lines."""
    if largest <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(largest))
    return next(scale * number for number in _ROUND_NUMBERS if scale * number >= largest)


def _short_number(value: float) -> str:
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def _summary(points: Sequence[Point], unit: str) -> str:
    """Return the chart in words, for screen readers and as the line below the chart."""
    if not points:
        return "No readings in this window."
    low_time, low = min(points, key=lambda point: point[1])
    high_time, high = max(points, key=lambda point: point[1])
    return (
        f"Minimum {_with_unit(low, unit)} at {low_time:%Y-%m-%d %H:%M} UTC, "
        f"maximum {_with_unit(high, unit)} at {high_time:%Y-%m-%d %H:%M} UTC, "
        f"last value {_with_unit(points[-1][1], unit)}."
    )


def _with_unit(value: float, unit: str) -> str:
    return (f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}").strip()
