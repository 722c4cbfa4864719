"""The geometry of charts: where an instant and a value are drawn, grid lines and labels.

Coordinates are those of an SVG view box of :data:`WIDTH` by :data:`HEIGHT`, with the origin at the top left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

WIDTH, HEIGHT = 1160, 220
VIEW_BOX = f"0 0 {WIDTH} {HEIGHT}"
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 56, 16, 10, 26
PLOT_WIDTH = WIDTH - MARGIN_LEFT - MARGIN_RIGHT
PLOT_HEIGHT = HEIGHT - MARGIN_TOP - MARGIN_BOTTOM
PLOT_BOTTOM = HEIGHT - MARGIN_BOTTOM

_GRID_LINES = 5
_GRID_END = WIDTH - 8
_VALUE_LABEL_X = MARGIN_LEFT - 6
_TIME_LABEL_Y = HEIGHT - 6
_MAX_TIME_LABELS = 12
_TIME_STEPS = [timedelta(hours=hours) for hours in (1, 3, 6, 12, 24, 72, 168, 720)]
_ROUND_NUMBERS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


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


def time_labels(start: datetime, end: datetime) -> list[Label]:
    """Return about twelve labels at most, at whole hours or days or every 30 days."""
    month = _TIME_STEPS[-1]
    months = math.ceil((end - start) / month / _MAX_TIME_LABELS) * month
    step = next((step for step in _TIME_STEPS if (end - start) / step <= _MAX_TIME_LABELS), months)
    pattern = "%H:%M" if step < timedelta(days=1) else "%d %b" if step <= month else "%b %Y"
    labels = []
    time = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while time <= end:
        if time >= start:
            labels.append(
                Label(round(x_of(time, start, end), 1), _TIME_LABEL_Y, time.strftime(pattern))
            )
        time += step
    return labels


def grid_line(value: float, axis: Sequence[float]) -> GridLine:
    """Return the line that marks a value of the axis."""
    y = y_of(value, axis)
    return GridLine(MARGIN_LEFT, _GRID_END, y, Label(_VALUE_LABEL_X, y, _axis_number(value)))


def x_of(time: datetime, start: datetime, end: datetime) -> float:
    """Return the x coordinate of an instant on a time axis from ``start`` to ``end``."""
    return MARGIN_LEFT + PLOT_WIDTH * ((time - start) / (end - start))


def y_of(value: float, axis: Sequence[float]) -> float:
    """Return the y coordinate of a value on a value axis with these grid lines."""
    lowest, highest = axis[0], axis[-1]
    return PLOT_BOTTOM - PLOT_HEIGHT * (value - lowest) / (highest - lowest)


def value_axis(values: Sequence[float]) -> list[float]:
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
    """Return the smallest round number not below ``largest``. A fifth of it is round, too."""
    if largest <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(largest))
    return next(scale * number for number in _ROUND_NUMBERS if scale * number >= largest)


def _axis_number(value: float) -> str:
    # All labels of an axis have the same precision, so whole numbers are not rounded: 1,250 stays 1,250.
    return f"{value:z,.9g}"


def plot_data(times: Sequence[datetime], start: datetime, end: datetime) -> dict[str, Any]:
    """Return what ``charts.js`` needs to find the value at a place of the plot.

    ``origin`` is in whole seconds since 1970, and ``times`` are in seconds after ``origin``: small numbers need little
    space. ``start`` is the left end of the plot in seconds after ``origin``, and ``seconds`` the length of the time
    axis.
    """
    origin = start.replace(microsecond=0)
    return {
        "origin": int(origin.timestamp()),
        "start": (start - origin).total_seconds(),
        "seconds": (end - start).total_seconds(),
        "left": MARGIN_LEFT,
        "width": PLOT_WIDTH,
        "top": MARGIN_TOP,
        "height": PLOT_HEIGHT,
        "times": [_short((time - origin).total_seconds()) for time in times],
    }


def _short(seconds: float) -> float:
    return int(seconds) if seconds.is_integer() else seconds
