"""The memory of an import does not depend on the content of the file, even if a small file contains a huge text."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError

from readings.ingest import csv_blocks, source_file, staging
from readings.ingest.columns import ColumnOptions
from readings.ingest.container import first_bytes, plain_text
from readings.ingest.csv_blocks import RowTooLongError, blocks_of_rows
from readings.ingest.row_validation import BadFileError
from readings.ingest.source_file import SourceFile
from readings.repositories import ReadingsRepository
from tests.readings.ingest.loading import GOOD, HEADER, METER, load
from tests.readings.ingest.stored_readings import all_readings

LIMIT = 2000


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read small blocks, so that small files have many of them."""
    monkeypatch.setattr(csv_blocks, "_BLOCK_BYTES", 500)
    monkeypatch.setattr(csv_blocks, "MAX_ROW_BYTES", LIMIT)
    monkeypatch.setattr(source_file, "MAX_ROW_BYTES", LIMIT)
    monkeypatch.setattr(csv_blocks, "_MAX_LINES", 7)


def blocks(path: Path, content: bytes) -> list[bytes]:
    path.write_bytes(content)
    with path.open("rb") as file:
        return list(blocks_of_rows(file))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "content",
    [
        b"".join(b"%d,text\n" % number for number in range(500)),
        b'"two\nlines","a ""word""\n"\n' * 90 + b"no line end",
        b"\n" * 3000,
        b"a" * LIMIT,
        b"",
    ],
    ids=["rows", "quoted line ends", "blank lines", "the longest row", "nothing"],
)
def test_blocks_are_the_file_and_end_with_a_row(tmp_path: Path, content: bytes) -> None:
    found = blocks(tmp_path / "rows", content)
    assert b"".join(found) == content
    assert all(block.endswith(b"\n") and block.count(b'"') % 2 == 0 for block in found[:-1])
    # A row of two lines may be the last one that fits.
    assert max((block.count(b"\n") for block in found), default=0) <= 8


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "content",
    [b"x" * 10 * LIMIT, b"1,2\n" * 9 + b'"' + b"1,2\n" * LIMIT, b"," * 10 * LIMIT],
    ids=["no line end", "a quotation mark that is not closed", "separators"],
)
def test_a_row_without_an_end_is_refused_before_it_is_in_memory(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(RowTooLongError):
        blocks(tmp_path / "rows", content)


@pytest.mark.django_db
@pytest.mark.usefixtures("small_blocks")
def test_the_error_of_such_a_row_is_one_sentence(tmp_path: Path, store: ReadingsRepository) -> None:
    file = tmp_path / "readings.csv"
    file.write_text(f"{HEADER}\n{GOOD}\n" + "a" * 10 * LIMIT)
    with pytest.raises(CommandError, match=r"a row is longer than [0-9,]+ bytes"):
        load(file)
    assert all_readings(store).is_empty()


def test_a_header_without_an_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("time," + "a" * 300_000)
    source = SourceFile(file, ColumnOptions(), tmp_path)
    with pytest.raises(BadFileError, match=r"the header is longer than 100,000 bytes"):
        next(source.batches())


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("length", "reason"),
    [(100_000, "these columns are not columns of a reading"), (100_001, "the header is longer")],
)
def test_a_header_of_the_longest_length_is_read(
    line_end: str, length: int, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "readings.csv"
    header = f"{HEADER},".ljust(length, "a")
    file.write_bytes(f"\n{header}{line_end}{GOOD}\n".encode())
    batches = SourceFile(file, ColumnOptions(), tmp_path).batches()
    with pytest.raises(BadFileError, match=reason):
        next(batches)


def test_zeros_are_refused_before_they_fill_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "zeros.csv.gz"
    file.write_bytes(gzip.compress(bytes(20 << 20)))
    with pytest.raises(BadFileError, match="not UTF-8"):
        plain_text(file, first_bytes(file), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.glob("plain*")) == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("small_blocks")
def test_rows_keep_their_line_numbers_across_blocks(
    tmp_path: Path, store: ReadingsRepository
) -> None:
    file = tmp_path / "readings.csv"
    rows = [GOOD.replace("16:00", f"{16 + n // 60}:{n % 60:02}") for n in range(100)]
    rows[77] = rows[77].replace("17.674", "many")
    file.write_text("\n".join([HEADER, *rows]))
    with pytest.raises(CommandError, match="line 79: kw 'many' is not a number"):
        load(file)
    file.write_text("\n".join([HEADER, *rows[:77], "", *rows[78:]]))
    assert "99 new readings, 0 already stored" in load(file)


@pytest.mark.django_db
def test_equal_rows_are_staged_once_and_each_is_counted(
    tmp_path: Path, store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged: list[int] = []
    without = staging._without_many_repeats

    def record(readings: pl.DataFrame) -> pl.DataFrame:
        kept = without(readings)
        staged.append(len(kept))
        return kept

    monkeypatch.setattr(staging, "_without_many_repeats", record)
    row = GOOD.replace("16:00", "16:00Z")
    other = row.replace(METER, METER.replace("0001b33e", "0001b33f"))
    file = tmp_path / "equal.csv.gz"
    file.write_bytes(gzip.compress("\n".join([HEADER, *[row, other] * 20_000]).encode()))
    assert "2 new readings, 39,998 already stored" in load(file)
    # The file ends without a line end, so its last row is in a separate block.
    assert [count for count in staged if count] == [2, 1]


@pytest.mark.django_db
def test_equal_rows_without_an_offset_are_still_refused(
    tmp_path: Path, store: ReadingsRepository
) -> None:
    file = tmp_path / "equal.csv"
    file.write_text("\n".join([HEADER, *[GOOD] * 3]))
    with pytest.raises(CommandError, match="may be a copy"):
        load(file)
