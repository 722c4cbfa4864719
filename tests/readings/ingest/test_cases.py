"""Files of other systems, each with its required result: ``cases/CASES.tsv``."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError

from readings.repositories import ReadingsRepository
from tests.readings.ingest.loading import load
from tests.readings.ingest.stored_readings import all_readings

pytestmark = pytest.mark.django_db

CASES = Path(__file__).with_name("cases")
GOOD = [17.674, 17.675, 17.676]


def rows() -> list[tuple[str, str]]:
    """Return the file and the required result of each case."""
    with (CASES / "CASES.tsv").open(newline="") as table:
        cases = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(case["input"], case["right"]) for case in cases]


def stored(store: ReadingsRepository) -> list[list[object]]:
    readings = all_readings(store).sort("time")
    return [[f"{time:%Y-%m-%d %H:%M:%S.%f}", kw] for time, kw in readings["time", "kw"].iter_rows()]


CHECKED = [case for case in rows() if case[1].startswith(("rows", "refused, the message holding"))]


@pytest.mark.parametrize(("name", "right"), CHECKED)
def test_a_file_has_its_required_result(store: ReadingsRepository, name: str, right: str) -> None:
    kind, _, expected = right.partition(" ")
    if kind == "rows":
        load(CASES / name)
        assert stored(store) == json.loads(expected)
        return
    with pytest.raises(CommandError) as refused:
        load(CASES / name)
    for words in right.removeprefix("refused, the message holding ").split(", "):
        assert words.lower() in str(refused.value).lower()
    assert all_readings(store).is_empty()


def test_every_other_case_has_a_test_below() -> None:
    others = {name for name, _ in set(rows()) - set(CHECKED)}
    assert others == {
        "more/glob/june*.csv",
        "more/glob/[2024]/may.csv",
        "num_4_decimals.csv",
        "num_sentinel.csv",
        "vltg_in_volts.csv",
        "extra_quality_column.csv",
        "pq_extra.parquet",
    }


@pytest.mark.parametrize("name", ["june*.csv", "[2024]/may.csv"])
def test_a_name_with_pattern_characters_is_the_name_of_one_file(
    store: ReadingsRepository, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    shutil.copy(CASES / file.name, file)
    shutil.copy(CASES / "twin1.csv", tmp_path / "june_draft.csv")
    (tmp_path / "2").mkdir()
    shutil.copy(CASES / "twin1.csv", tmp_path / "2" / "may.csv")
    load(file)
    alone = stored(store)
    assert alone
    assert "0 new readings" in load(CASES / file.name)
    assert stored(store) == alone


def test_the_summary_tells_how_many_values_were_rounded(store: ReadingsRepository) -> None:
    assert "1 value rounded to 3 decimals" in load(CASES / "num_4_decimals.csv")
    assert [kw for _, kw in stored(store)] == [17.674, 17.675, 17.676]


@pytest.mark.parametrize("name", ["extra_quality_column.csv", "pq_extra.parquet"])
def test_a_column_with_the_qualities_of_another_system_can_be_ignored(
    store: ReadingsRepository, name: str
) -> None:
    message = (
        r" quality 'A' is not measured, estimated, substituted or missing .* --ignore 'quality'"
    )
    with pytest.raises(CommandError, match=message):
        load(CASES / name)
    assert all_readings(store).is_empty()
    load(CASES / name, "--ignore", "quality")
    assert [kw for _, kw in stored(store)] == GOOD


def test_ids_that_a_spreadsheet_has_changed_are_loaded_as_written_and_named_once(
    store: ReadingsRepository,
) -> None:
    summary = load(CASES / "id_sci.csv")
    assert all_readings(store)["device_id"].unique().to_list() == ["1.04437E+16"]
    assert (
        summary.count("line 2: device_id 1.04437E+16 looks like a number that a spreadsheet") == 1
    )
    assert "and 2 more rows with such a device_id" in summary
    assert "implausible" not in load(CASES / "id_lead_zero.csv")
    assert "0000123456" in all_readings(store)["device_id"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("semicolon.csv", ["--separator", ";"]),
        ("semicolon_decimal_comma.csv", ["--separator", ";", "--decimal-comma"]),
        ("tab.tsv", ["--separator", "\t"]),
        ("tab.tsv", ["--separator", r"\t"]),
    ],
)
def test_the_separator_and_the_decimal_comma_are_options(
    store: ReadingsRepository, name: str, options: list[str]
) -> None:
    load(CASES / name, *options)
    assert [kw for _, kw in stored(store)] == GOOD


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("num_sentinel.csv", "line 3: kw -999.0 is below minus the contracted load"),
        ("vltg_in_volts.csv", "line 3: vltg 230.1 is not a voltage from 0 to 66 kV"),
    ],
)
def test_implausible_values_are_loaded_as_given_and_named_by_line(
    store: ReadingsRepository, name: str, warning: str
) -> None:
    summary = load(CASES / name)
    assert warning in summary
    assert summary.count("implausible") == 1
    assert len(stored(store)) == 3


@pytest.mark.parametrize("missing", ["-999", "-999.0"])
def test_a_number_that_stands_for_no_value_is_read_as_empty(
    store: ReadingsRepository, missing: str
) -> None:
    assert "implausible" not in load(CASES / "num_sentinel.csv", "--missing", missing)
    assert [kw for _, kw in stored(store)] == [17.674, None, 17.676]


def test_a_dry_run_reports_everything_and_writes_nothing(store: ReadingsRepository) -> None:
    summary = load(CASES / "vltg_in_volts.csv", "--dry-run")
    assert "not written (dry run)" in summary
    assert "3 new readings, 0 already stored" in summary
    assert "line 3: vltg 230.1" in summary
    assert all_readings(store).is_empty()
    load(CASES / "may.csv")
    before = all_readings(store)
    assert "0 new readings, 3 already stored" in load(CASES / "may.csv", "--dry-run")
    assert all_readings(store).equals(before)
    with pytest.raises(CommandError, match=r"line 3: pf '91\.8'"):
        load(CASES / "pf_out_of_range.csv", "--dry-run")


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05 10:00:00,5",
        "20240305T100000.5",
        "2024-03-05T11:00:00,5+01",
        "20240305T100000,5Z",
    ],
)
def test_a_comma_before_the_fraction_and_the_compact_form_need_no_zone(
    store: ReadingsRepository, tmp_path: Path, text: str
) -> None:
    header, row = (CASES / "may.csv").read_text().splitlines()[:2]
    file = tmp_path / "times.csv"
    file.write_text(f"{header}\n" + row.replace("2024-03-05 10:00", f'"{text}"') + "\n")
    load(file)
    assert [time for time, _ in stored(store)] == ["2024-03-05 10:00:00.500000"]


def test_a_first_year_with_an_offset_is_a_bad_row(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    header, row = (CASES / "may.csv").read_text().splitlines()[:2]
    file = tmp_path / "times.csv"
    file.write_text(f"{header}\n" + row.replace("2024-03-05 10:00", "0001-01-01T00:00+05") + "\n")
    with pytest.raises(CommandError, match=r"line 2: time '0001-01-01T00:00\+05' is not a date"):
        load(file)
