"""Bar charts as numbers for a template. See :mod:`headend.portal.charts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headend.portal.chart_axes import (
    MARGIN_TOP,
    PLOT_BOTTOM,
    PLOT_HEIGHT,
    PLOT_WIDTH,
    VIEW_BOX,
    Label,
    plot_data,
    time_labels,
    x_of,
)

_BAR_GAP = 0.4
_MIN_BAR_WIDTH = 0.5


@dataclass(frozen=True)
class BarValue:
    """The input for one bar. ``share`` is its height, from 0 to 1; ``kind`` is a class of the style sheet."""

    time: datetime
    share: float
    kind: str
    tooltip: str


@dataclass(frozen=True)
class Bar:
    """A bar in front of its track, which has the full height of the plot. The visible part of the track is missing."""

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
    """Bars side by side, ascending in time. ``data`` is what ``charts.js`` needs."""

    title: str
    bars: list[Bar]
    time_labels: list[Label]
    summary: str
    data: dict[str, Any]
    view_box: str = VIEW_BOX


def bar_chart(
    title: str, values: Sequence[BarValue], start: datetime, end: datetime, summary: str
) -> BarChart:
    """Return a bar chart of values between two instants; all bars have the same width."""
    width = PLOT_WIDTH / max(1, len(values))
    bars = [
        Bar(
            x=round(x_of(value.time, start, end), 2),
            width=round(max(_MIN_BAR_WIDTH, width - _BAR_GAP), 2),
            y=round(PLOT_BOTTOM - PLOT_HEIGHT * value.share, 1),
            height=round(PLOT_HEIGHT * value.share, 1),
            kind=value.kind,
            tooltip=value.tooltip,
        )
        for value in values
    ]
    data = {
        **plot_data([value.time for value in values], start, end),
        "texts": [value.tooltip for value in values],
        "offset": (end - start).total_seconds() / max(1, len(values)) / 2,
    }
    return BarChart(title, bars, time_labels(start, end), summary, data)
