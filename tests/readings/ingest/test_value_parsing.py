"""The values of a column of a file: the forms that are read, and those that are not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readings.device_ids import parse_device_id
from readings.ingest import value_parsing
from readings.ingest.columns import ColumnOptions
from readings.ingest.source_file import SourceFile
from readings.ingest.value_parsing import (
    parse_device_ids,
    parse_instants,
    parse_measure_names,
    parse_numbers,
    parse_or_none,
    parse_qualities,
)
from tests.readings.ingest.loading import GOOD, HEADER, METER

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def texts(name: str, *values: str | None) -> pl.Series:
    return pl.Series(name, values, pl.String())


DEVICE_IDS = [
    *[METER, METER.upper(), METER.replace("-", ""), f" {METER}\t", METER.replace("-", "", 1)],
    *[METER[:-1], METER + "0", METER.replace("-", "_"), f"{{{METER}}}", "0000123456", " meter 1 "],
    *[
        "x" * 64,
        "x" * 65,
        " " + "x" * 64,
        "~",
        "a,b",
        "Zähler 1",
        "é" * 64,
        "é" * 65,
        "電錶",
        " ",
        "",
    ],
    *[
        "a\tb",
        "a\nb",
        "\x7f",
        "a\u200b",
        "\x1cmeter\x1f",
        "\u3000meter",
        "a\u00a0b",
        "\u017f" * 36,
        None,
    ],
]


def test_ids_of_a_column_are_parsed_by_the_rule_for_single_ids() -> None:
    parsed = parse_device_ids(texts("device_id", *DEVICE_IDS))
    assert parsed.to_list() == [parse_or_none(parse_device_id, text) for text in DEVICE_IDS]
    assert parsed[:5].to_list() == [METER] * 5
    assert parse_device_ids(texts("device_id", METER, METER)).to_list() == [METER, METER]


@given(st.lists(st.text(max_size=70) | st.from_regex(r"[0-9a-fA-F-]{30,40}", fullmatch=True)))
def test_any_text_in_a_column_is_parsed_as_it_is_alone(ids: list[str]) -> None:
    parsed = parse_device_ids(texts("device_id", *ids))
    assert parsed.to_list() == [parse_or_none(parse_device_id, text) for text in ids]


def test_ids_of_printable_ascii_characters_are_not_parsed_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Polars recognises them. Python takes seconds for the ids of a million meters."""
    monkeypatch.setattr(value_parsing, "parse_device_id", None)
    ids = ["6407000000", "MPAN 7", "a-b", "A~b", "\"'/%_=+", *map(chr, range(0x2D, 0x7F))]
    assert parse_device_ids(texts("device_id", *ids)).to_list() == ids


def test_qualities_are_read_in_any_case() -> None:
    qualities = parse_qualities(
        texts("quality", "measured", " Estimated", "MISSING", "A", "", None)
    )
    assert qualities.to_list() == ["measured", "estimated", "missing", None, None, None]
    assert parse_qualities(texts("quality", "substituted", None)).to_list() == ["substituted", None]


def test_a_measure_name_may_have_spaces_around_it() -> None:
    names = texts("measure_name", "readings", " readings ", "Readings", "", None)
    assert parse_measure_names(names).to_list() == ["readings", "readings", None, None, None]


@pytest.mark.parametrize("repeats", [1, 20], ids=["each row another time", "runs of a time"])
def test_each_time_is_parsed_whether_rows_repeat_it_or_not(repeats: int) -> None:
    forms = [
        None,
        "2024-05-01 12:00",
        "2024-05-01T14:00:00+02:00",
        "soon",
        None,
        "20240501T120000Z",
    ]
    parsed = parse_instants(texts("time", *(form for form in forms for _ in range(repeats))))
    instants = [None, NOON, NOON, None, None, NOON]
    have_offset = [None, False, True, False, None, True]
    assert parsed.values.to_list() == [instant for instant in instants for _ in range(repeats)]
    assert parsed.have_offset.to_list() == [
        offset for offset in have_offset for _ in range(repeats)
    ]


@pytest.mark.parametrize(
    "text",
    [
        *["1", "+1", " 1", "1 ", "1.", "-.5", "1e5", "1E+5", "nan", "-inf", "1_0", "0x1", "1e400"],
        *["1e-400", "0.1234567890123456789", "123456789012345678901234567890", "--1", "1 2"],
        *["e5", "-", "", "true"],
    ],
)
@pytest.mark.parametrize("quoted", [False, True])
def test_numbers_that_polars_parses_are_those_of_their_texts(
    tmp_path: Path, text: str, quoted: bool
) -> None:
    file = tmp_path / "may.csv"
    value = f'"{text}"' if quoted else text
    file.write_text(f"{HEADER}\n{GOOD}\n{GOOD.replace('88.926', value)}\n")
    batches = list(SourceFile(file, ColumnOptions(), tmp_path).batches())
    of_file = pl.concat([parse_numbers(batch["crrnt"]) for batch in batches if len(batch)])
    expected = parse_numbers(texts("crrnt", "88.926", text))
    assert of_file.to_list() == expected.to_list()


def test_a_block_with_an_invalid_number_has_texts_for_the_message(tmp_path: Path) -> None:
    file = tmp_path / "may.csv"
    file.write_text(f"{HEADER}\n{GOOD}\n{GOOD.replace('0.918', '91.80')}\n")
    *_, batch = SourceFile(file, ColumnOptions(), tmp_path).batches()
    assert batch["pf"].to_list() == ["0.918", "91.80"]
    file.write_text(f"{HEADER}\n{GOOD}\n")
    *_, batch = SourceFile(file, ColumnOptions(), tmp_path).batches()
    assert batch["pf"].to_list() == [0.918]


@pytest.mark.parametrize("name", ["load", "pf", "kw"])
@pytest.mark.parametrize("kind", [pl.Int64(), pl.Float64()])
def test_numbers_of_a_parquet_file_are_those_of_their_texts(name: str, kind: pl.DataType) -> None:
    values = pl.Series(name, [18, -1, 0, None, 2**53, 2**53 + 2, -(2**63)], dtype=pl.Int64)
    numbers = values.cast(kind)
    expected = parse_numbers(numbers.cast(pl.String))
    assert parse_numbers(numbers).to_list() == expected.to_list()
    assert parse_numbers(numbers).dtype == expected.dtype
