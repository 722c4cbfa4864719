"""Numbers have one format on all pages."""

from __future__ import annotations

import re

import pytest

from exports.templatetags.percent import percent, share
from headend.portal.chart_axes import grid_line
from headend.portal.number_text import with_unit
from tests.test_architecture import ROOT


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 kW"), (0.22031, "0.2203 kW"), (345.678, "345.7 kW"), (-999.9, "-999.9 kW"), (1_000, "1,000 kW"),
        (12_340.6, "12,341 kW"), (999.96, "1,000 kW"), (0.000_01, "0.00001 kW"),
        (-0.0, "0 kW"),
    ],
)  # fmt: skip
def test_a_value_has_four_significant_digits_or_is_a_whole_number(value: float, text: str) -> None:
    assert with_unit(value, "kW") == text
    assert with_unit(value, "") == text.removesuffix(" kW")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.3, "0.3"), (1_250.0, "1,250"), (1.5e6, "1,500,000"), (-4e3, "-4,000"), (-0.0, "0")],
)
def test_the_labels_of_an_axis_are_not_rounded(value: float, text: str) -> None:
    assert grid_line(value, [-5e3, 2e6]).label.text == text


def test_a_percentage_has_one_decimal_and_only_a_complete_share_is_100_percent() -> None:
    assert (percent(100), percent(99.44)) == ("100.0 %", "99.4 %")
    assert (share(0.57), share(0.9999), share(1.0)) == ("57.0 %", "99.9 %", "100.0 %")


def test_every_page_uses_the_filters_for_percentages() -> None:
    templates = [*(ROOT / "templates").rglob("*.html")]
    assert len(templates) > 50
    assert [each.name for each in templates if re.search(r"[}]\s*%(?!})", each.read_text())] == []
