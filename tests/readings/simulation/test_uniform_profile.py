"""The profile ``uniform`` gives the same bytes as in every earlier release."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

DIGESTS = [
    (
        Fleet(devices=3_000),
        datetime(2023, 2, 27, 12, tzinfo=UTC),
        "2469a5af04bbe976cfda215391edeebc5f165a2e73e3c5d62b8f5fb3d086ab02",
    ),
    (
        Fleet(
            devices=3_000, devices_per_batch=700, late_arrivals=True, seed=7, interval_minutes=15
        ),
        datetime(2026, 7, 1, 6, 15, tzinfo=UTC),
        "59717594afc749121dcda7fcca27fd801ab364aa1f175634595d64613c7d7f1e",
    ),
    (
        Fleet(devices=100, voltage=120, minimum_load=1, maximum_load=90, seed=2**63 - 1),
        datetime(1969, 7, 20, tzinfo=UTC),
        "844fba9d6d24a5409dd0b862befdfe6d22bb7906372cf97fb7eeaa4ca25df953",
    ),
]
"""SHA-256 of the CSV of an interval, computed before there was another profile."""


@pytest.mark.parametrize(("fleet", "time", "digest"), DIGESTS)
def test_uniform_readings_are_those_of_earlier_releases(
    fleet: Fleet, time: datetime, digest: str
) -> None:
    text = readings_for(fleet, time).write_csv(float_precision=3)
    assert hashlib.sha256(text.encode()).hexdigest() == digest


def test_uniform_is_the_default() -> None:
    assert Fleet().profile == "uniform"
