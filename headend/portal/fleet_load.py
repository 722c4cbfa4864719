"""The power and the energy of the whole fleet over time, from the interval totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.db.models import (
    Case,
    CharField,
    Count,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Substr

from headend.portal.charts import LineChart, Point, Series, curve_chart, line_chart
from headend.portal.energy_units import unit_of_energy
from readings.models import IntervalTotals
from readings.totals import time_prefix
from readings.window import DAY, HOUR

NO_TIME = timedelta(0)
HOURLY_FROM = timedelta(days=14)
"""From this length on, a window is drawn with hourly means of the power and the energy of each day."""
INTERVALS_UP_TO = timedelta(hours=6)
"""Up to this length, a window is drawn with the energy of each interval; a longer one with that of each hour."""
_HOUR_LENGTH = len("2023-02-27 16")
_FIRST_OF_MINUTE = len("2023-02-27 16:") + 1
_RESOLUTION = timedelta(microseconds=1)
_WITHOUT_POWER = Q(kw=0) & (Q(import_kwh__gt=0) | Q(export_kwh__gt=0))
"""Intervals in which meters sent energy but no power. Their sum of power is stored as 0."""
_STEP_NAMES = {NO_TIME: "interval", HOUR: "hour", DAY: "day"}


@dataclass(frozen=True)
class Sums:
    """The sums of some intervals: power in kW, and energies in kWh.

    ``first`` and ``last`` are the times of the first and the last interval. ``intervals`` is the number of intervals,
    and ``with_power`` how many of them have a power.
    """

    first: datetime
    last: datetime
    intervals: int
    with_power: int
    kw: float
    imported: float
    exported: float


@dataclass(frozen=True)
class FleetEnergy:
    """The energy of the fleet in kWh, for each ``step`` of a window; a ``step`` of zero is an interval.

    ``values`` has the start of the step (or the time of the interval), the imported and the exported energy, ascending.
    ``partial`` has the starts of the incomplete steps: some of their intervals are not stored, or outside the window.
    """

    start: datetime
    end: datetime
    step: timedelta
    values: list[tuple[datetime, float, float]]
    partial: frozenset[datetime] = frozenset()

    @property
    def imported(self) -> float:
        """The energy that meters imported, in kWh."""
        return sum(imported for _, imported, _ in self.values)

    @property
    def exported(self) -> float:
        """The energy that meters exported, in kWh."""
        return sum(exported for _, _, exported in self.values)

    @property
    def is_known(self) -> bool:
        """Whether readings of the window have a column ``kwh`` that is not 0."""
        return any(imported or exported for _, imported, exported in self.values)

    def chart(self, window: str = "") -> LineChart:
        """Return the chart of the energy. ``window`` is added to its title."""
        unit, kwh = unit_of_energy(max((max(each[1:]) for each in self.values), default=0))
        imported: list[Point] = [(time, each / kwh) for time, each, _ in self.values]
        exported: list[Point] = [(time, each / kwh) for time, _, each in self.values]
        return curve_chart(
            f"Energy per {_STEP_NAMES[self.step]}{window}",
            unit,
            [Series("Imported", imported), Series("Exported", exported)],
            self.start,
            self.end,
            span=self.step,
            stepped=self.step > NO_TIME,
            partial=self.partial,
        )


def totals_between(start: datetime, end: datetime) -> QuerySet[IntervalTotals]:
    """Return the interval totals of a window; both bounds are inclusive."""
    return IntervalTotals.objects.filter(time__gte=start, time__lte=end)


def sums_between(start: datetime, end: datetime) -> list[Sums]:
    """Return the sums of each interval of a window, ascending. Takes one query.

    For a window of :data:`HOURLY_FROM` or longer, the database adds up the intervals of each hour. An interval that
    ends on the hour has separate sums, because its energy belongs to the hour before.
    """
    totals = totals_between(start, end).order_by("time")
    if end - start < HOURLY_FROM:
        fields = ("kw", "import_kwh", "export_kwh")
        rows = totals.values_list("time", *fields)
        return [
            Sums(time, time, 1, int(kw != 0 or not (imported or exported)), kw, imported, exported)
            for time, kw, imported, exported in rows
        ]
    minute = Substr(Cast("time", CharField()), _FIRST_OF_MINUTE, 2)
    is_later = Case(When(minute="00", then=Value(0)), default=Value(1), output_field=IntegerField())
    groups = (
        totals.annotate(hour=time_prefix(_HOUR_LENGTH), minute=minute)
        .annotate(is_later=is_later)
        .values("hour", "is_later")
        .annotate(
            first=Min("time"),
            last=Max("time"),
            intervals=Count("pk"),
            with_power=Count("pk", filter=~_WITHOUT_POWER),
            kws=Sum("kw"),
            imports=Sum("import_kwh"),
            exports=Sum("export_kwh"),
        )
        .order_by("hour", "is_later")
        .values_list("first", "last", "intervals", "with_power", "kws", "imports", "exports")
    )
    return [Sums(*sums) for sums in groups]


def load_points(sums: Iterable[Sums], start: datetime, end: datetime) -> list[Point]:
    """Return the fleet's power in kW from the sums of a window: of each interval, or the mean of each hour.

    An interval or hour in which no reading has a power has the value None.
    """
    if end - start < HOURLY_FROM:
        return [(each.last, each.kw if each.with_power else None) for each in sums]
    hours: dict[datetime, tuple[float, int]] = {}
    for each in sums:
        hour = each.last.replace(minute=0, second=0, microsecond=0)
        kw, intervals = hours.get(hour, (0.0, 0))
        hours[hour] = kw + each.kw, intervals + each.with_power
    return [
        (hour, kw / intervals if intervals else None) for hour, (kw, intervals) in hours.items()
    ]


def energy(sums: Iterable[Sums], start: datetime, end: datetime) -> FleetEnergy:
    """Return the energy of a window from its sums.

    An interval ends at its time, so the one at ``start`` lies before the window and is left out.
    """
    length = end - start
    step = DAY if length >= HOURLY_FROM else HOUR if length > INTERVALS_UP_TO else NO_TIME
    inside = [each for each in sums if start < each.last <= end]
    steps: dict[datetime, tuple[float, float]] = {}
    for each in inside:
        begin = max(start, _begin(each.last, step))
        imported, exported = steps.get(begin, (0.0, 0.0))
        steps[begin] = imported + each.imported, exported + each.exported
    values = [(time, *both) for time, both in steps.items()]
    return FleetEnergy(start, end, step, values, _partial_steps(inside, start, step))


def fleet_charts(sums: list[Sums], start: datetime, end: datetime) -> list[LineChart]:
    """Return the charts of power and of energy that have values. Many meters send only one of them."""
    load, used = load_points(sums, start, end), energy(sums, start, end)
    charts = [used.chart()] if used.is_known else []
    if not used.is_known or any(kw for _, kw in load):
        span = HOUR if end - start >= HOURLY_FROM else NO_TIME
        charts.insert(0, line_chart("Fleet load", "kW", load, start, end, span=span))
    return charts


def _partial_steps(sums: Sequence[Sums], start: datetime, step: timedelta) -> frozenset[datetime]:
    """Return the starts of the steps that have fewer intervals than fit into them."""
    if step == NO_TIME or len(sums) < 2:
        return frozenset()
    distances = Counter(later.first - earlier.last for earlier, later in pairwise(sums))
    interval = distances.most_common(1)[0][0]
    stored: Counter[datetime] = Counter()
    for each in sums:
        stored[max(start, _begin(each.last, step))] += each.intervals
    return frozenset(begin for begin, count in stored.items() if count < step // interval)


def _begin(time: datetime, step: timedelta) -> datetime:
    """Return the start of the hour or day in which an interval lies that ends at ``time``."""
    if step == NO_TIME:
        return time
    last = time - _RESOLUTION
    return last.replace(hour=last.hour if step == HOUR else 0, minute=0, second=0, microsecond=0)
