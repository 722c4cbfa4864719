"""The deployment's processes end together, whenever and however the end is asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_RUN = "import sys; from pathlib import Path; from headend import processes; print('go', flush=True); sys.exit(processes.run(Path(sys.argv[1])))"
LASTING = "one: exec sleep 1000\nother: exec sleep 1000\n"


@contextmanager
def running(folder: Path, procfile: str) -> Iterator[subprocess.Popen[str]]:
    """The processes of ``procfile``, in a process group of their own as in a terminal."""
    path = folder / "Procfile"
    path.write_text(procfile)
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(path)],
        env=os.environ | {"MARK_OF_THIS_TEST": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "go\n"
        yield process
    finally:
        for pid in left_of(folder):
            os.kill(pid, signal.SIGKILL)
        process.wait(30)
        process.stdout.close()


def left_of(folder: Path) -> list[int]:
    """The living processes that carry this test's mark."""
    mark = f"MARK_OF_THIS_TEST={folder}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read its lines up to the one that has ``text``."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"it never printed {text!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_them_all_and_is_no_failure(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, LASTING) as process:
        read_until(process, "other started")
        os.killpg(process.pid, number)
        assert process.wait(30) == 0
        assert left_of(tmp_path) == []


@pytest.mark.parametrize("attempt", range(8))
def test_a_signal_in_the_middle_of_a_line_ends_them_too(tmp_path: Path, attempt: int) -> None:
    with running(tmp_path, LASTING) as process:
        # The manager may still be flushing this very line.
        read_until(process, "other started")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        assert left_of(tmp_path) == []


@pytest.mark.parametrize("milliseconds", range(0, 100, 10))
def test_an_end_that_is_asked_for_while_they_start_is_an_end(
    tmp_path: Path, milliseconds: int
) -> None:
    with running(tmp_path, LASTING) as process:
        time.sleep(milliseconds / 1000)
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(30)
        # Before there is anything to end, Ctrl-C is Python's own; `manage.py run` answers for that.
        assert code in (0, -signal.SIGINT)
        assert left_of(tmp_path) == []


def test_one_that_ends_by_itself_takes_the_others_with_it(tmp_path: Path) -> None:
    with running(tmp_path, "one: exec sleep 1000\nother: sleep 0.2; exit 7\n") as process:
        assert process.wait(30) == 7
        assert left_of(tmp_path) == []


def test_one_that_ends_well_by_itself_is_a_failure_too(tmp_path: Path) -> None:
    with running(tmp_path, "one: exec sleep 1000\nother: exec sleep 0.2\n") as process:
        assert process.wait(30) == 1
        assert left_of(tmp_path) == []
