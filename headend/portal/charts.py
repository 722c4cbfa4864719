"""Pictures of figures over time, as the numbers an SVG template needs: no script draws them, no style is in them.

Coordinates are those of a view box of :data:`WIDTH` by :data:`HEIGHT`, its origin at the top left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

WIDTH, HEIGHT = 1160, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 10, 26
MOST_POINTS = 2_000
_TICKS = 5
_MOST_TIMES = 12
_STEPS = [timedelta(hours=hours) for hours in (1, 3, 6, 12, 24, 72, 168, 720)]

Point = tuple[datetime, float]


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve: an SVG path that is broken where figures are missing, and its axes."""

    title: str
    unit: str
    path: str
    times: list[Tick]
    values: list[Tick]
    summary: str


@dataclass(frozen=True)
class Bar:
    """One bar of a strip."""

    x: float
    width: float
    y: float
    height: float
    kind: str
    says: str


def line(title: str, unit: str, points: Sequence[Point], start: datetime, end: datetime) -> Line:
    """A curve of points, ascending in time, between two instants; thinned out to :data:`MOST_POINTS`."""
    drawn = thinned(points, MOST_POINTS)
    top = _top(max((value for _, value in drawn), default=0.0))
    return Line(
        title,
        unit,
        _path(drawn, start, end, top),
        time_ticks(start, end),
        [Tick(_y(top * n / _TICKS, top), _short(top * n / _TICKS)) for n in range(_TICKS + 1)],
        _summary(points, unit),
    )


def strip(
    bars: Sequence[tuple[datetime, float, str, str]], start: datetime, end: datetime
) -> list[Bar]:
    """Bars side by side: time, share of the height (0 to 1), kind, what it says."""
    width = (WIDTH - LEFT - RIGHT) / max(1, len(bars))
    room = HEIGHT - TOP - BOTTOM
    return [
        Bar(
            x=round(_x(time, start, end), 2),
            width=round(max(0.5, width - 0.4), 2),
            y=round(HEIGHT - BOTTOM - room * share, 1),
            height=round(room * share, 1),
            kind=kind,
            says=says,
        )
        for time, share, kind, says in bars
    ]


def time_ticks(start: datetime, end: datetime) -> list[Tick]:
    """Marks at whole hours or days, a dozen at most."""
    step = next((step for step in _STEPS if (end - start) / step <= _MOST_TIMES), _STEPS[-1])
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    pattern = "%H:%M" if step < timedelta(days=1) else "%d %b"
    ticks = []
    at = midnight
    while at <= end:
        if at >= start:
            ticks.append(Tick(round(_x(at, start, end), 1), at.strftime(pattern)))
        at += step
    return ticks


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many points, each the mean of those it stands for."""
    each = math.ceil(len(points) / most) if points else 1
    if each == 1:
        return list(points)
    groups = [points[first : first + each] for first in range(0, len(points), each)]
    return [(group[0][0], sum(value for _, value in group) / len(group)) for group in groups]


def _path(points: list[Point], start: datetime, end: datetime, top: float) -> str:
    steps = sorted(later[0] - earlier[0] for earlier, later in pairwise(points))
    usual = steps[len(steps) // 2] if steps else timedelta(0)
    words = []
    before: datetime | None = None
    for time, value in points:
        letter = "M" if before is None or time - before > 2 * usual else "L"
        words.append(f"{letter}{_x(time, start, end):.1f} {_y(value, top):.1f}")
        before = time
    return " ".join(words)


def _x(time: datetime, start: datetime, end: datetime) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * ((time - start) / (end - start))


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _top(largest: float) -> float:
    """The axis ends at the next figure that divides well by five."""
    if largest <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(largest))
    return next(
        scale * step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if scale * step >= largest
    )


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _summary(points: Sequence[Point], unit: str) -> str:
    """The curve in words, for those who do not see it."""
    if not points:
        return "There are no figures."
    (least_at, least), (most_at, most) = (
        choose(points, key=lambda point: point[1]) for choose in (min, max)
    )
    return (
        f"Between {_figure(least, unit)} at {least_at:%Y-%m-%d %H:%M} and {_figure(most, unit)} at "
        f"{most_at:%Y-%m-%d %H:%M} UTC; last {_figure(points[-1][1], unit)}."
    )


def _figure(value: float, unit: str) -> str:
    return (f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}").strip()
