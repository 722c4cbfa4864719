"""Checks run at the same time, with a time limit, and none of them stops the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pytest_django.fixtures import Settings

from headend.diagnosis.finding import Check, Finding, State, failed, findings, ok


def texts(*runs: Callable[[], Sequence[Finding]], seconds: float = 60) -> list[tuple[str, str]]:
    """Return the state and the text of each finding of checks with the hint "Look."."""
    checks = [Check(f"check {number}", run, "Look.") for number, run in enumerate(runs)]
    return [(finding.state, finding.text) for _, finding in findings(checks, seconds)]


def test_an_error_of_one_check_stops_no_other() -> None:
    def fail() -> Sequence[Finding]:
        raise RuntimeError("the server is on fire.\nmore lines")

    assert texts(fail, lambda: [ok("fine"), failed("broken", "Repair it.")]) == [
        (State.FAILED, "the server is on fire"),
        (State.OK, "fine"),
        (State.FAILED, "broken"),
    ]


def test_a_check_that_blocks_has_failed_and_stops_no_other() -> None:
    release = threading.Event()

    def block() -> Sequence[Finding]:
        release.wait(60)
        return []

    assert texts(block, seconds=0.05) == [(State.FAILED, "no result within 0.05 seconds")]
    release.set()


def test_an_error_shows_no_password(settings: Settings) -> None:
    settings.DATABASE_URL = "postgresql://headend:s3cr%40t-word@127.0.0.1/headend"

    def fail() -> Sequence[Finding]:
        raise RuntimeError("cannot use postgresql://headend:s3cr%40t-word@127.0.0.1, s3cr@t-word")

    assert texts(fail) == [(State.FAILED, "cannot use postgresql://headend:***@127.0.0.1, ***")]
