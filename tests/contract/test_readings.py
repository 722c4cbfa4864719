"""GET /readings, as in the reference guide and in ``contract.md``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.contract.conftest import Supplier

KEYS = ["offset", "time", "arrival_time", "device_id", "measure_name", "load", "crrnt", "pf", "kva", "kw", "vltg"]  # fmt: skip
LAST_OF_FLEET = 50_000


def test_the_first_page_is_that_of_the_reference_guide(
    supplier: Supplier, newest: list[str]
) -> None:
    page = supplier.get("/readings", start_date=newest[0], page_size=100)

    assert list(page) == ["filter_params", "results", "next", "records"]
    assert page["filter_params"] == {"start_date": newest[0], "offset": 0}
    assert page["results"] == {"records_total": 100, "last_offset": 100, "last_date": newest[0]}
    assert [record["offset"] for record in page["records"]] == list(range(1, 101))
    first = page["records"][0]
    assert list(first) == KEYS
    assert (first["time"], first["arrival_time"]) == (newest[0], newest[0])
    assert first["device_id"] == "0001b33e-0898-33a6-ac1d-82b59b904034"
    assert (first["load"], first["measure_name"]) == (18, "readings")


def test_the_second_page_is_that_of_the_reference_guide(
    supplier: Supplier, newest: list[str]
) -> None:
    page = supplier.get("/readings", start_date=newest[0], page_size=100, offset=100)
    shown = [(r["offset"], r["device_id"], r["load"]) for r in page["records"]]
    assert shown[0] == (101, "00a0f4b9-c962-3c30-ae64-1a7e9313da75", 15)
    assert shown[-1] == (200, "011e2268-8ec6-3e78-b84e-96425c1b5d50", 16)
    assert page["results"]["last_offset"] == 200


def test_a_page_has_ten_records_by_default(supplier: Supplier, newest: list[str]) -> None:
    assert len(supplier.get("/readings", start_date=newest[0])["records"]) == 10


@pytest.mark.parametrize("path", ["/readings", "/readings/"])
def test_paths_with_and_without_a_slash_answer_without_a_redirect(
    supplier: Supplier, newest: list[str], path: str
) -> None:
    answer = supplier.call("GET", path, params={"start_date": newest[0]}, allow_redirects=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"


def test_values_have_three_decimals_and_are_consistent(
    supplier: Supplier, newest: list[str]
) -> None:
    for record in supplier.get("/readings", start_date=newest[0], page_size=500)["records"]:
        for name in ("crrnt", "pf", "kva", "kw", "vltg"):
            assert isinstance(record[name], float)
            assert round(record[name], 3) == record[name]
        assert 0.8 <= record["pf"] <= 0.99
        assert abs(record["kw"] / record["pf"] - record["kva"]) < 0.02


@pytest.mark.parametrize(
    ("first", "count"),
    [(LAST_OF_FLEET - 1_000, 3_500), (2 * LAST_OF_FLEET - 2_000, 2_000)],
    ids=["across two intervals", "up to the end"],
)
def test_offsets_and_next_links_return_the_same_readings(
    supplier: Supplier, newest: list[str], first: int, count: int
) -> None:
    window = {"start_date": newest[0], "end_date": newest[1]}
    page = supplier.get("/readings", **window, offset=first, page_size=700)
    by_links = page["records"]
    while page["next"] and len(by_links) < count:
        page = requests.get(page["next"], headers={"X-API-Key": supplier.key}, timeout=60).json()
        by_links += page["records"]
    by_offset: list[Any] = []
    while len(by_offset) < count:
        offset = first + len(by_offset)
        records = supplier.get("/readings", **window, offset=offset, page_size=900)["records"]
        assert records
        by_offset += records
    assert by_offset[:count] == by_links[:count]
    keys = [(r["time"], r["device_id"]) for r in by_offset]
    assert keys == sorted(set(keys))
    assert {r["time"] for r in by_offset} == set(newest[first // LAST_OF_FLEET :])
    if first + count == 2 * LAST_OF_FLEET:
        assert len(by_links) == len(by_offset) == count


def test_a_page_after_the_last_reading_is_empty(supplier: Supplier, newest: list[str]) -> None:
    page = supplier.get("/readings", start_date=newest[0], end_date=newest[0], offset=123_456)
    assert page["records"] == []
    assert page["results"] == {"records_total": 0, "last_offset": 123_456, "last_date": None}
    assert page["next"] is None


def test_a_page_can_have_all_readings_of_an_interval(supplier: Supplier, newest: list[str]) -> None:
    page = supplier.get("/readings", start_date=newest[0], page_size=50_000)
    assert {record["time"] for record in page["records"]} == {newest[0]}
    assert page["records"][-1]["offset"] == LAST_OF_FLEET


def test_end_date_is_inclusive(supplier: Supplier, newest: list[str]) -> None:
    page = supplier.get(
        "/readings", start_date=newest[0], end_date=newest[1], offset=99_999, page_size=9
    )
    assert [record["time"] for record in page["records"]] == [newest[1]]
    assert page["filter_params"]["end_date"] == newest[1]


def test_a_page_has_only_readings_of_the_given_meters(
    supplier: Supplier, newest: list[str]
) -> None:
    meters = ["011e2268-8ec6-3e78-b84e-96425c1b5d50", "0001B33E-0898-33A6-AC1D-82B59B904034"]
    page = supplier.get("/readings", start_date=newest[0], end_date=newest[1], device_id=meters)
    shown = [(record["time"], record["device_id"]) for record in page["records"]]
    first, second = sorted(meter.lower() for meter in meters)
    assert shown == [(time, meter) for time in newest for meter in (first, second)]


def test_arrived_after_and_as_of_limit_the_arrival_time(
    supplier: Supplier, newest: list[str]
) -> None:
    page = supplier.get("/readings", start_date=newest[0], arrived_after=newest[0], page_size=1)
    assert page["records"][0]["time"] == newest[1]
    page = supplier.get("/readings", start_date=newest[0], as_of=newest[0], offset=49_999)
    assert page["results"]["records_total"] == 1


@pytest.mark.parametrize(
    "start",
    ["{day}T{clock}Z", "{day}T{clock}.000000000Z", "{day} {minute}", "{day}T{clock}+00:00"],
)
def test_a_date_in_any_form_is_returned_in_canonical_form(
    supplier: Supplier, newest: list[str], start: str
) -> None:
    day, _, clock = newest[0].removesuffix(".000000").partition(" ")
    text = start.format(day=day, clock=clock, minute=clock[:5])
    assert supplier.get("/readings", start_date=text)["filter_params"]["start_date"] == newest[0]


def test_dates_from_1970_to_ten_years_ahead_are_accepted(supplier: Supplier) -> None:
    in_ten_years = f"{datetime.now(UTC) + timedelta(days=3651):%Y-%m-%d}"
    for date in ("1970-01-01", in_ten_years):
        assert supplier.call("GET", "/readings", params={"start_date": date}).status_code == 200


WRONG = {
    "missing": ("", "start_date"),
    "empty": ("start_date=", "start_date"),
    "doubled": ("start_date=2023-02-27&start_date=2023-02-28", "start_date"),
    "unreadable": ("start_date=soon", "start_date"),
    "a day that is none": ("start_date=2023-02-30", "start_date"),
    "year 0": ("start_date=0000-12-31", "start_date"),
    "year 10000": ("start_date=10000-01-01", "start_date"),
    "before year 1 by its offset": ("start_date=0001-01-01T00:00:00%2B01:00", "start_date"),
    "before 1970": ("start_date=1969-12-31T23:59:59.999999", "start_date"),
    "before 1970 by its offset": ("start_date=1970-01-01T00:00:00%2B01:00", "start_date"),
    "the year 9999": ("start_date=2023-02-27&end_date=9999-12-31", "end_date"),
    "as_of in the year 2203": ("start_date=2023-02-27&as_of=2203-01-01", "as_of"),
    "arrived_after in the year 1": (
        "start_date=2023-02-27&arrived_after=0001-01-01",
        "arrived_after",
    ),
    "a NUL in a date": ("start_date=2023-02-27%00", "start_date"),
    "a NUL in a name": ("start_date=2023-02-27&%00=1", "Unknown parameter"),
    "no UTF-8": ("start_date=%ff%fe", "start_date"),
    "unreadable end": ("start_date=2023-02-27&end_date=never", "end_date"),
    "empty end": ("start_date=2023-02-27&end_date=", "end_date"),
    "unreadable as_of": ("start_date=2023-02-27&as_of=now", "as_of"),
    "page_size 0": ("start_date=2023-02-27&page_size=0", "page_size"),
    "page_size -1": ("start_date=2023-02-27&page_size=-1", "page_size"),
    "page_size 50001": ("start_date=2023-02-27&page_size=50001", "page_size"),
    "page_size 1e9": ("start_date=2023-02-27&page_size=1e9", "page_size"),
    "page_size ten": ("start_date=2023-02-27&page_size=ten", "page_size"),
    "page_size empty": ("start_date=2023-02-27&page_size=", "page_size"),
    "page_size endless": ("start_date=2023-02-27&page_size=" + "9" * 5000, "page_size"),
    "offset -1": ("start_date=2023-02-27&offset=-1", "offset"),
    "offset enormous": ("start_date=2023-02-27&offset=" + "9" * 30, "offset"),
    "offset a half": ("start_date=2023-02-27&offset=0.5", "offset"),
    "no meter": ("start_date=2023-02-27&device_id=meter-1", "device_id"),
    "SQL for a meter": ("start_date=2023-02-27&device_id='%20OR%201=1--", "device_id"),
    "unknown": ("start_date=2023-02-27&colour=red", "colour"),
    "DRF's own": ("start_date=2023-02-27&format=api", "format"),
    "a broken link": ("start_date=2023-02-27&after=there", "after"),
}


@pytest.mark.parametrize(("query", "named"), WRONG.values(), ids=WRONG.keys())
def test_an_invalid_parameter_is_refused_and_the_error_names_it(
    supplier: Supplier, query: str, named: str
) -> None:
    answer = supplier.call("GET", f"/readings?{query}")
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_an_error_names_all_invalid_parameters(supplier: Supplier) -> None:
    answer = supplier.call("GET", "/readings?page_size=0&offset=-1")
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"start_date", "page_size", "offset"}


def test_the_page_at_the_largest_offset_is_empty(supplier: Supplier, newest: list[str]) -> None:
    assert supplier.get("/readings", start_date=newest[0], offset=2**62)["records"] == []
