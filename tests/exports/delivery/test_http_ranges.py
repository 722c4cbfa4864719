"""The headers Range, If-Range and If-None-Match, as RFC 9110 defines them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exports.delivery.http_ranges import (
    ByteRange,
    RangeNotSatisfiableError,
    matches_if_none_match,
    matches_if_range,
    parse_range,
)

SIZE = 1000
ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-499", 0, 500),
        ("bytes=500-", 500, 1000),
        ("bytes=-1", 999, 1000),
        ("bytes=-5000", 0, 1000),
        ("bytes=999-999", 999, 1000),
        ("bytes=0-1000000", 0, 1000),
        ("Bytes=1-2", 1, 3),
        (" bytes=1-2 ", 1, 3),
    ],
)
def test_a_single_range_is_parsed(header: str, start: int, end: int) -> None:
    assert parse_range(header, SIZE) == ByteRange(start, end)


@pytest.mark.parametrize(
    "header",
    [
        "", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=a-b", "bytes=5-4", "bytes=0-1,3-4",
        "bytes=--5", "bytes=1-2-3", "bytes=+1-2", "bytes=\u0661-\u0662", "items=0-4", "bytes=0x1-2",
        f"bytes=0-{'9' * 5000}",
    ],
)  # fmt: skip
def test_any_other_header_is_ignored(header: str) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_without_any_byte_of_the_file_is_not_satisfiable(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        parse_range(header, SIZE)


@given(st.text(max_size=40) | st.from_regex(r"bytes=\d{0,4}-\d{0,4}"), st.integers(0, 2000))
def test_a_parsed_range_is_always_inside_the_file(header: str, size: int) -> None:
    try:
        parsed = parse_range(header, size)
    except RangeNotSatisfiableError:
        return
    assert parsed is None or 0 <= parsed.start < parsed.end <= size


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        (None, True),
        (ETAG, True),
        ('"other"', False),
        (f"W/{ETAG}", False),
        ("Mon, 23 Nov 2026 00:00:00 GMT", False),
    ],
)
def test_if_range_permits_a_partial_answer_for_the_same_file_only(
    header: str | None, matches: bool
) -> None:
    assert matches_if_range(header, ETAG) is matches


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ("", False),
        (ETAG, True),
        (f'"other", {ETAG}', True),
        (f"W/{ETAG}", True),
        ("*", True),
        ('"other"', False),
        ("rubbish", False),
    ],
)
def test_if_none_match_matches_any_tag_of_the_file(header: str, matches: bool) -> None:
    assert matches_if_none_match(header, ETAG) is matches
