"""Pictures of figures over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from headend.portal import charts

START = datetime(2026, 5, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
FIVE = timedelta(minutes=5)


def points(count: int, step: timedelta = FIVE) -> list[charts.Point]:
    return [(START + n * step, float(n)) for n in range(count)]


def test_a_curve_goes_from_the_left_edge_to_the_right() -> None:
    line = charts.line("load", "kW", [(START, 0.0), (START + DAY, 100.0)], START, START + DAY)
    assert line.path == (
        f"M{charts.LEFT}.0 {charts.HEIGHT - charts.BOTTOM}.0 "
        f"L{charts.WIDTH - charts.RIGHT}.0 {charts.TOP}.0"
    )


def test_a_curve_is_broken_where_figures_are_missing() -> None:
    figures = points(100)
    whole = charts.line("load", "kW", figures, START, START + DAY).path
    broken = charts.line("load", "kW", figures[:40] + figures[60:], START, START + DAY).path
    assert (whole.count("M"), broken.count("M")) == (1, 2)


def test_the_axis_ends_at_a_figure_that_reads_well() -> None:
    line = charts.line("load", "kW", [(START, 17_800.0)], START, START + DAY)
    assert [tick.label for tick in line.values] == ["0", "4k", "8k", "12k", "16k", "20k"]


def test_a_curve_without_figures_says_so() -> None:
    line = charts.line("load", "kW", [], START, START + DAY)
    assert (line.path, line.summary) == ("", "There are no figures.")


def test_a_curve_is_told_in_words() -> None:
    line = charts.line("load", "kW", points(3), START, START + DAY)
    assert line.summary == (
        "Between 0 kW at 2026-05-01 06:00 and 2 kW at 2026-05-01 06:10 UTC; last 2 kW."
    )


def test_a_years_figures_are_thinned_out_to_their_means() -> None:
    thinned = charts.thinned(points(105_120), charts.MOST_POINTS)
    assert len(thinned) <= charts.MOST_POINTS
    assert thinned[0] == (START, 26.0)


def test_few_figures_stay_as_they_are() -> None:
    assert charts.thinned(points(10), 10) == points(10)


def test_marks_stand_at_whole_hours_or_days() -> None:
    hours = charts.time_ticks(START, START + DAY)
    assert [tick.label for tick in hours][:3] == ["06:00", "09:00", "12:00"]
    days = charts.time_ticks(START, START + 7 * DAY)
    assert [tick.label for tick in days][:2] == ["02 May", "03 May"]
    assert len(charts.time_ticks(START, START + 90 * DAY)) <= 12


def test_bars_stand_side_by_side_as_high_as_their_share() -> None:
    bars = charts.strip(
        [(START, 1.0, "full", "all"), (START + DAY / 2, 0.5, "part", "half")], START, START + DAY
    )
    room = charts.HEIGHT - charts.TOP - charts.BOTTOM
    assert [bar.height for bar in bars] == [room, room / 2]
    assert bars[0].x + bars[0].width <= bars[1].x
