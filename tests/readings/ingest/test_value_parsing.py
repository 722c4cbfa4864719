"""The values of a column of a file: the forms that are read, and those that are not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from readings.ingest.columns import ColumnOptions
from readings.ingest.source_file import SourceFile
from readings.ingest.value_parsing import (
    parse_device_ids,
    parse_instants,
    parse_measure_names,
    parse_numbers,
)
from tests.readings.ingest.loading import GOOD, HEADER, METER

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def texts(name: str, *values: str | None) -> pl.Series:
    return pl.Series(name, values, pl.String())


@pytest.mark.parametrize(
    "text", [METER, METER.upper(), METER.replace("-", ""), f" {METER}\t", METER.title()]
)
def test_a_uuid_has_one_form(text: str) -> None:
    assert parse_device_ids(texts("device_id", METER, text)).to_list() == [METER, METER]


@pytest.mark.parametrize(
    "text",
    [
        "meter-1",
        METER[:-1],
        METER + "0",
        METER.replace("-", "", 1),
        METER.replace("-", "_"),
        f"{{{METER}}}",
        METER.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
        "",
    ],
)
def test_another_text_is_no_uuid(text: str) -> None:
    parsed = parse_device_ids(texts("device_id", METER, text, None))
    assert parsed.to_list() == [METER, None, None]


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
