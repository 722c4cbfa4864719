"""Instants: parse and format them, and their limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from readings.instants import (
    EARLIEST_INSTANT,
    format_instant,
    latest_instant,
    parse_bounded_instant,
    parse_instant,
)

FOUR_O_CLOCK = datetime(2023, 2, 27, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-27 16:00:00.000000",
        "2023-02-27 16:00:00",
        "2023-02-27 16:00:00.",
        "2023-02-27 16:00:00.0",
        "2023-02-27 16:00:00.000000999",
        "2023-02-27 16:00",
        "2023-02-27T16:00:00Z",
        "2023-02-27T18:00:00+02:00",
        "2023-02-27T11:30-0430",
    ],
)
def test_every_form_of_the_contract_is_parsed_to_the_same_instant(text: str) -> None:
    assert parse_instant(text) == FOUR_O_CLOCK


def test_a_date_without_a_time_is_its_midnight() -> None:
    assert parse_instant("2023-02-27") == datetime(2023, 2, 27, tzinfo=UTC)


def test_more_than_six_decimals_are_truncated_not_rounded() -> None:
    assert parse_instant("2023-02-27 16:00:00.123456999").microsecond == 123456


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2023-02-30",
        "2023-02-27 24:00",
        "2023-02-27 16:00:60",
        "2023-02-27 16",
        "2023-02-27 16:00.5",
        "2023-02-27 16:00:00.0000000000",
        "2023-02-27 16:00:00+25:00",
        "0000-01-01",
        "10000-01-01",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-01:00",
        "2023-02-27\x00",
        "٢٠٢٣-02-27",
        "2023-02-27 16:00:00\n",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date"):
        parse_instant(text)


@pytest.mark.parametrize("time", ["18:00 02:00", "18:00:00.000000 0200"])
def test_an_offset_whose_plus_became_a_space_is_refused_with_a_hint(time: str) -> None:
    with pytest.raises(ValueError, match=r"; write the \+ of an offset as %2B in a URL$"):
        parse_instant(f"2023-02-27T{time}")


def test_callers_name_instants_from_1970_to_ten_years_ahead() -> None:
    assert parse_bounded_instant("1970-01-01") == EARLIEST_INSTANT
    latest = latest_instant()
    assert timedelta(days=3652) <= latest - datetime.now(UTC) + timedelta(minutes=1)
    assert latest - datetime.now(UTC) <= timedelta(days=3654)
    assert parse_bounded_instant(format_instant(latest)) == latest


@pytest.mark.parametrize(
    "text", ["1969-12-31 23:59:59.999999", "1970-01-01T00:00+01:00", "1900-01-01", "2203-01-01"]
)
def test_other_instants_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not between 1970-01-01 and ten years from now"):
        parse_bounded_instant(text)


def test_the_canonical_form_has_six_decimals_and_no_time_zone() -> None:
    assert format_instant(FOUR_O_CLOCK) == "2023-02-27 16:00:00.000000"
