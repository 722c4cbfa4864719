"""Tests of the charts: paths, bars, axes and summaries."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from headend.portal import bar_charts, chart_axes, charts

START = datetime(2026, 5, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
FIVE_MINUTES = timedelta(minutes=5)


def points(count: int, step: timedelta = FIVE_MINUTES) -> list[charts.Point]:
    """Return points whose values count up from 0."""
    return [(START + n * step, float(n)) for n in range(count)]


def test_a_line_goes_from_the_left_margin_to_the_right_margin() -> None:
    chart = charts.line_chart(
        "load", "kW", [(START, 0.0), (START + DAY, 100.0)], START, START + DAY
    )
    assert chart.curves[0].path == (
        f"M{chart_axes.MARGIN_LEFT}.0 {chart_axes.PLOT_BOTTOM}.0 "
        f"L{chart_axes.WIDTH - chart_axes.MARGIN_RIGHT}.0 {chart_axes.MARGIN_TOP}.0"
    )


def test_a_line_has_a_gap_where_points_are_missing() -> None:
    all_points = points(100)
    complete = charts.line_chart("load", "kW", all_points, START, START + DAY).curves[0].path
    with_gap = all_points[:40] + all_points[60:]
    broken = charts.line_chart("load", "kW", with_gap, START, START + DAY).curves[0].path
    assert (complete.count("M"), broken.count("M")) == (1, 2)


def test_the_value_axis_has_round_labels() -> None:
    chart = charts.line_chart("load", "kW", [(START, 17_800.0)], START, START + DAY)
    assert [line.label.text for line in chart.grid_lines] == [
        "0", "4,000", "8,000", "12,000", "16,000", "20,000",
    ]  # fmt: skip


def test_negative_values_are_drawn_inside_the_plot_below_the_line_of_zero() -> None:
    values = [(START, -1_500.0), (START + DAY / 2, 0.0), (START + DAY, 500.0)]
    chart = charts.line_chart("load", "kW", values, START, START + DAY)
    labels = {line.label.text: line.y for line in chart.grid_lines}
    assert list(labels) == ["-1,600", "-1,200", "-800", "-400", "0", "400", "800"]
    low, zero, high = re.findall(r"[ML][\d.]+ ([-\d.]+)", chart.curves[0].path)
    assert float(zero) == pytest.approx(labels["0"], abs=0.05)
    assert chart_axes.MARGIN_TOP <= float(high) < float(zero) < float(low) <= chart_axes.PLOT_BOTTOM
    assert "Minimum -1,500 kW at" in chart.summary


def test_a_chart_of_only_negative_values_ends_at_zero() -> None:
    chart = charts.line_chart("load", "kW", [(START, -100.0)], START, START + DAY)
    assert [line.label.text for line in chart.grid_lines] == [
        "-100",
        "-80",
        "-60",
        "-40",
        "-20",
        "0",
    ]
    assert chart.curves[0].path == f"M{chart_axes.MARGIN_LEFT}.0 {chart_axes.PLOT_BOTTOM}.0"


def test_a_chart_without_points_has_an_empty_path_and_says_why() -> None:
    chart = charts.line_chart("load", "kW", [], START, START + DAY)
    assert (chart.curves[0].path, chart.summary) == ("", "No readings in this window.")


def test_a_chart_has_a_summary_in_words() -> None:
    chart = charts.line_chart("load", "kW", points(3), START, START + DAY)
    assert chart.summary == (
        "Minimum 0 kW at 2026-05-01 06:00 UTC, maximum 2 kW at 2026-05-01 06:10 UTC, last value 2 kW."
    )


def test_the_points_of_a_year_are_downsampled_to_means() -> None:
    downsampled = charts.downsample(points(105_120), charts.MAX_POINTS)
    assert len(downsampled) <= charts.MAX_POINTS
    assert downsampled[0] == (START, 26.0)


def test_few_points_are_not_downsampled() -> None:
    assert charts.downsample(points(10), 10) == points(10)


def test_time_labels_are_at_whole_hours_or_days() -> None:
    hours = chart_axes.time_labels(START, START + DAY)
    assert [label.text for label in hours][:3] == ["06:00", "09:00", "12:00"]
    days = chart_axes.time_labels(START, START + 7 * DAY)
    assert [label.text for label in days][:2] == ["02 May", "03 May"]
    assert len(chart_axes.time_labels(START, START + 90 * DAY)) <= 12
    decades = chart_axes.time_labels(START, START + 66 * 365 * DAY)
    assert len(decades) <= 13
    assert decades[-1].text.split()[1] > "2070"


def test_bars_are_side_by_side_and_as_high_as_their_share() -> None:
    values = [
        bar_charts.BarValue(START, 1.0, "complete", "all"),
        bar_charts.BarValue(START + DAY / 2, 0.5, "partial", "half"),
    ]
    bars = bar_charts.bar_chart("coverage", values, START, START + DAY, "summary").bars
    assert [bar.height for bar in bars] == [chart_axes.PLOT_HEIGHT, chart_axes.PLOT_HEIGHT / 2]
    assert bars[0].x + bars[0].width <= bars[1].x


def test_a_bar_ends_where_its_track_ends() -> None:
    value = bar_charts.BarValue(START, 0.25, "partial", "a quarter")
    [bar] = bar_charts.bar_chart("coverage", [value], START, START + DAY, "summary").bars
    assert bar.y + bar.height == bar.track_y + bar.track_height == chart_axes.PLOT_BOTTOM


def test_a_stepped_curve_is_a_horizontal_line_for_the_time_of_each_value() -> None:
    hour = timedelta(hours=1)
    values = [(START, 1.0), (START + hour, 5.0), (START + 3 * hour, 5.0)]
    series = [charts.Series("Imported", values), charts.Series("Exported", values)]
    chart = charts.curve_chart(
        "Energy", "kWh", series, START, START + 4 * hour, span=hour, stepped=True
    )
    quarter = chart_axes.PLOT_WIDTH / 4
    left, low, high = chart_axes.MARGIN_LEFT, 157.2, float(chart_axes.MARGIN_TOP)
    assert chart.curves[0].path == (
        f"M{left:.1f} {low} H{left + quarter:.1f} L{left + quarter:.1f} {high} "
        f"H{left + 2 * quarter:.1f} M{left + 3 * quarter:.1f} {high} H{left + 4 * quarter:.1f}"
    )
    assert chart.summary.startswith("Imported: minimum 1 kWh at 2026-05-01 06:00 UTC, maximum")
    assert chart.data["offset"] * 2 == chart.data["span"] == 3600


def test_a_reading_without_a_value_is_a_gap() -> None:
    values = [(START, 1.0), (START + FIVE_MINUTES, None), (START + 2 * FIVE_MINUTES, 3.0)]
    chart = charts.line_chart("load", "kW", values, START, START + DAY)
    assert chart.curves[0].path.count("M") == 2
    assert chart.data["series"] == [{"name": "", "values": [1.0, None, 3.0]}]
    assert chart.data["times"] == [0, 300, 600]


def test_readings_with_a_note_are_marked_also_if_they_are_drawn_as_a_mean() -> None:
    all_points = points(4_500)
    notes = {
        all_points[1][0]: "estimated",
        all_points[2][0]: "missing",
        all_points[9][0]: "missing",
    }
    chart = charts.line_chart("load", "kW", all_points, START, START + 20 * DAY, notes=notes)
    assert [mark.kind for mark in chart.marks] == ["estimated", "missing", "missing"]
    assert chart.data["notes"] == {0: "estimated, missing", 3: "missing"}
    assert len(chart.data["times"]) == 1_500
