"""Ctrl-C and SIGTERM end a long command between two steps of its work."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.core.management import ManagementUtility, call_command
from pytest_django.fixtures import Settings

from headend import command_line
from readings import totals
from readings.cancellation import raise_if_cancelled
from readings.ingest import backfill, file_import
from readings.ingest.stop_request import StopRequested, stop_at_once, stop_when_asked
from readings.repositories import ReadingsRepository
from readings.repositories.delta.repository import DeltaRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from tests.readings.ingest.loading import GOOD, HEADER, load
from tests.readings.ingest.stored_readings import all_readings

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_a_signal_inside_polars_waits_for_the_next_check(
    number: signal.Signals, exit_code: int
) -> None:
    def ask_to_stop(value: int) -> int:
        signal.raise_signal(number)
        return value

    with stop_when_asked():
        raise_if_cancelled()
        assert pl.Series([1]).map_elements(ask_to_stop, pl.Int64()).to_list() == [1]
        with pytest.raises(StopRequested) as stopped:
            raise_if_cancelled()
    assert stopped.value.exit_code == exit_code


def test_after_the_first_signal_the_second_one_ends_the_process() -> None:
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    with stop_when_asked():
        signal.raise_signal(signal.SIGINT)
        assert [signal.getsignal(number) for number, _ in SIGNALS] == [signal.SIG_DFL] * 2
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


def test_code_that_waits_for_input_is_ended_immediately() -> None:
    with stop_when_asked(), stop_at_once(), pytest.raises(StopRequested):
        signal.raise_signal(signal.SIGINT)


def test_code_that_waits_for_input_does_not_begin_after_the_signal() -> None:
    with stop_when_asked():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(StopRequested):
            stop_at_once().__enter__()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("owner", "step", "stored"),
    [
        (file_import, "parse_rows", 0),
        (file_import, "add_contradictions", 0),
        (DeltaRepository, "write", 2),
        (totals, "_store_totals", 2),
    ],
)
def test_an_import_ends_before_its_next_step_and_leaves_no_temporary_files(
    store: ReadingsRepository,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    owner: Any,
    step: str,
    stored: int,
) -> None:
    settings.HEADEND_HOME = tmp_path
    _ask_to_stop_during(owner, step, monkeypatch)
    file = tmp_path / "may.csv"
    # Rows in order are not compared with one another.
    file.write_text(f"{HEADER}\n{GOOD}\n{GOOD.replace('16:00', '15:00')}\n")
    with pytest.raises(SystemExit) as stopped:
        load(file)
    assert stopped.value.code == 130
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line == f"Interrupted while importing {file}. Import it again to complete it."
    assert len(all_readings(store)) == stored
    assert not list(tmp_path.glob("import-*"))


@pytest.mark.django_db
def test_a_plain_keyboard_interrupt_is_one_line_too(
    store: ReadingsRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_import, "parse_rows", interrupt)
    file = tmp_path / "may.csv"
    file.write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(SystemExit) as stopped:
        load(file)
    assert stopped.value.code == 130
    assert capsys.readouterr().err.strip().startswith("Interrupted while importing")


@pytest.mark.django_db
def test_a_backfill_ends_before_its_next_interval(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _ask_to_stop_during(backfill, "readings_for", monkeypatch)
    window = ["--start=2023-02-27 16:00", "--end=2023-02-27 17:00", "--devices=20"]
    with pytest.raises(SystemExit) as stopped:
        call_command("backfill", *window)
    assert stopped.value.code == 130
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line == "Interrupted after 0 new readings. Run the command again to continue."


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_a_command_without_its_own_message_ends_with_one_line(
    store: ReadingsRepository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    exit_code: int,
) -> None:
    _ask_to_stop_during(DeltaSnapshot, "day_summaries", monkeypatch, number)
    monkeypatch.setattr(command_line, "restart_in_utf8_mode", lambda: None)
    monkeypatch.setattr(command_line, "print_every_character", lambda: None)
    # Django's own method configures logging a second time, for the output of this test.
    monkeypatch.setattr(ManagementUtility, "execute", lambda _: call_command("readings"))
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == exit_code
    assert capsys.readouterr().err.strip() == "headend: interrupted."


@pytest.mark.django_db
def test_a_load_that_waits_for_standard_input_can_be_interrupted(
    store: ReadingsRepository, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HEADEND_HOME = tmp_path
    reader, writer = os.pipe()

    def interrupt() -> None:
        while not list(tmp_path.glob("import-*/standard-input")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    with os.fdopen(reader, "rb") as standard_input, os.fdopen(writer, "wb"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(standard_input))
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(SystemExit) as stopped:
            load("-")
        thread.join()
    assert stopped.value.code == 130
    assert not list(tmp_path.glob("import-*"))


def _ask_to_stop_during(
    owner: Any,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals = signal.SIGINT,
) -> None:
    function = getattr(owner, step)
    signals = iter([number])

    def ask_to_stop(*arguments: object, **options: object) -> object:
        # Only once: a second signal would end the process. A step in another thread can begin before the first acts.
        for each in signals:
            signal.raise_signal(each)
        return function(*arguments, **options)

    monkeypatch.setattr(owner, step, ask_to_stop)
