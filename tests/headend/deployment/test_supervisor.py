"""The processes of a deployment end together, for every way to stop it. A process that dies is started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headend.deployment.supervision import supervisor
from headend.deployment.supervision.announcement import Announcement, announce

pytestmark = pytest.mark.starts_processes

# As in the supervisor's own program: without the package `headend`, which imports Celery.
_IMPORT = f"""
import signal, sys
from pathlib import Path
sys.path.append({str(Path(supervisor.__file__).parent.parent)!r})
"""
# Signals are blocked from the start, as `manage.py run` blocks them before the supervisor's program begins. A signal that
# interrupts an import or a fork instead can be lost.
_RUN = """
from supervision import supervisor

signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.END_SIGNALS)
print("go", flush=True)
commands = dict(line.split(": ", 1) for line in Path(sys.argv[1]).read_text().splitlines())
outcome = supervisor.run(commands)
sys.exit(outcome() if callable(outcome) else outcome)
"""
TWO_LONG_PROCESSES = "one: exec sleep 1000\nother: exec sleep 1000\n"


@contextmanager
def running(folder: Path, procfile: str, *, program: str = _RUN) -> Iterator[subprocess.Popen[str]]:
    """Run the processes of ``procfile`` in a process group, as a terminal does."""
    path = folder / "Procfile"
    path.write_text(procfile)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _IMPORT + program, str(path)],
        cwd=folder,
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
        for pid in living_processes(folder):
            os.kill(pid, signal.SIGKILL)
        process.wait(60)
        process.stdout.close()


def living_processes(folder: Path) -> list[int]:
    """Return the ids of the living processes that have this test's mark in their environment."""
    mark = f"MARK_OF_THIS_TEST={folder}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the system lists the right processes: it lists starts and ends a moment later."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the wrong processes live"
        time.sleep(0.05)


def guard_of(process: subprocess.Popen[str]) -> int:
    """Return the id of the guard: the child of the supervisor that is a copy of it."""
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return next(
        int(pid) for pid in children if Path(f"/proc/{pid}/cmdline").read_bytes() == command
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the output up to the first line that contains ``text``, and return this line."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    pytest.fail(f"the output does not contain {text!r}")


def pid_of(line: str) -> int:
    """Return the process id in a line that says that a process has started."""
    found = re.search(r"pid=(\d+)", line)
    assert found
    return int(found[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_processes_and_is_no_failure(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path, TWO_LONG_PROCESSES) as process:
        read_until(process, "other started")
        os.killpg(process.pid, number)
        assert process.wait(60) == 0
        wait_until(lambda: living_processes(tmp_path) == [])


@pytest.mark.parametrize("attempt", range(8))
def test_a_signal_while_a_line_is_printed_ends_all_processes(tmp_path: Path, attempt: int) -> None:
    with running(tmp_path, TWO_LONG_PROCESSES) as process:
        # The supervisor may still be flushing this very line.
        read_until(process, "other started")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
        wait_until(lambda: living_processes(tmp_path) == [])


@pytest.mark.parametrize("milliseconds", range(0, 100, 10))
def test_a_signal_while_processes_are_starting_ends_them(tmp_path: Path, milliseconds: int) -> None:
    with running(tmp_path, TWO_LONG_PROCESSES) as process:
        time.sleep(milliseconds / 1000)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
        wait_until(lambda: living_processes(tmp_path) == [])


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("exit 7", "other ended with exit code 7"),
        ("exit 0", "other ended with exit code 0"),
        ("kill -KILL $$", "other was killed by SIGKILL"),
    ],
)
def test_a_process_that_dies_is_started_again_and_the_others_stay(
    tmp_path: Path, end: str, reason: str
) -> None:
    """The process dies once. A file records that it has."""
    other = f"test -e died && exec sleep 1000; touch died; {end}"
    with running(tmp_path, f"one: exec sleep 1000\nother: {other}\n") as process:
        one = read_until(process, "one started")
        first = read_until(process, "other started")
        assert f"{reason}; it starts again in 0.5 s" in read_until(process, reason)
        second = read_until(process, "started")
        assert "other started" in second
        assert pid_of(second) != pid_of(first)
        alive = {pid_of(one), pid_of(second)}
        wait_until(lambda: alive <= set(living_processes(tmp_path)))
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
        wait_until(lambda: living_processes(tmp_path) == [])


def test_after_five_deaths_in_a_row_all_processes_end_and_that_is_a_failure(
    tmp_path: Path,
) -> None:
    procfile = "one: exec sleep 1000\nother: echo run >> runs; exit 7\n"
    with running(tmp_path, procfile) as process:
        last = read_until(process, "in a row")
        assert "other ended with exit code 7, after 4 other deaths in a row; the deployment" in last
        assert process.wait(60) == 1
        wait_until(lambda: living_processes(tmp_path) == [])
    assert (tmp_path / "runs").read_text().split() == ["run"] * 5


def test_deaths_of_each_process_are_counted_until_it_has_lived_for_a_while() -> None:
    deaths = supervisor.Deaths()
    soon, later = supervisor.STABLE_SECONDS - 1, supervisor.STABLE_SECONDS
    assert [deaths.pause_after("web", lived) for lived in (soon, 0, 0, 0)] == [0.5, 1, 2, 4]
    assert deaths.pause_after("beat", 0) == 0.5
    assert [deaths.pause_after("web", lived) for lived in (later, 0, 0, 0, 0)] == [
        0.5, 1, 2, 4, None
    ]  # fmt: skip


def test_children_of_a_process_that_dies_are_killed_before_it_starts_again(tmp_path: Path) -> None:
    """They would keep its port. Only the first start leaves a child behind."""
    other = "test -e died && exec sleep 1000; touch died; sleep 999 & exit 7"
    with running(tmp_path, f"other: {other}\n") as process:
        read_until(process, "starts again")
        again = read_until(process, "other started")
        expected = {process.pid, guard_of(process), pid_of(again)}
        wait_until(lambda: set(living_processes(tmp_path)) == expected)


def test_a_signal_while_a_process_waits_for_its_next_start_ends_all(tmp_path: Path) -> None:
    with running(tmp_path, "one: exec sleep 1000\nother: exit 7\n") as process:
        read_until(process, "starts again in 2 s")
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
        wait_until(lambda: living_processes(tmp_path) == [])


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = "one: trap '' TERM; echo ready; while true; do sleep 0.1; done\n"
    with running(tmp_path, stubborn) as process:
        read_until(process, "| ready")
        os.killpg(process.pid, signal.SIGTERM)
        read_until(process, "sending SIGKILL to one")
        assert process.wait(60) == 0
        wait_until(lambda: living_processes(tmp_path) == [])


def test_each_line_has_the_name_of_its_process_and_no_colour_outside_a_terminal(
    tmp_path: Path,
) -> None:
    procfile = "one: echo out; echo error >&2; exec sleep 1000\nother: exec sleep 1000\n"
    with running(tmp_path, procfile) as process:
        assert read_until(process, "out").split(" ", 1)[1] == "one    | out\n"
        assert read_until(process, "error").split(" ", 1)[1] == "one    | error\n"


def test_the_supervisor_starts_only_its_guard_and_the_processes_of_the_procfile(
    tmp_path: Path,
) -> None:
    with running(tmp_path, TWO_LONG_PROCESSES) as process:
        read_until(process, "other started")
        wait_until(lambda: len(living_processes(tmp_path)) == 4)
        wait_until(lambda: guard_of(process) in living_processes(tmp_path))


_IMPATIENT = "from supervision import guard; guard.KILL_AFTER_SECONDS = 0.5\n"


@pytest.mark.parametrize("whom", ["the supervisor", "its process group"])
def test_if_the_supervisor_is_killed_its_processes_and_their_children_end(
    tmp_path: Path, whom: str
) -> None:
    stubborn = "trap '' TERM; sleep 999 & echo ready; while true; do sleep 0.1; done"
    procfile = f"{TWO_LONG_PROCESSES}stubborn: {stubborn}\n"
    with running(tmp_path, procfile, program=_IMPATIENT + _RUN) as process:
        read_until(process, "| ready")
        kill = os.kill if whom == "the supervisor" else os.killpg
        kill(process.pid, signal.SIGKILL)
        process.wait(60)
        wait_until(lambda: living_processes(tmp_path) == [])


def test_the_deployment_goes_on_without_its_guard_and_ends_as_usual(tmp_path: Path) -> None:
    with running(tmp_path, "one: exec sleep 1000\nother: sleep 0.5; exit 7\n") as process:
        read_until(process, "other started")
        os.kill(guard_of(process), signal.SIGKILL)
        read_until(process, "starts again")
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
        wait_until(lambda: living_processes(tmp_path) == [])


_NO_MEMORY_FOR_THE_THIRD_START = """
import os
original, forks = os.fork, []
def fork():
    forks.append(1)
    # The first one is the guard.
    if len(forks) == 4:
        raise OSError(12, "Cannot allocate memory")
    return original()
os.fork = fork
"""


def test_after_an_error_of_the_supervisor_no_process_stays_behind(tmp_path: Path) -> None:
    program = _NO_MEMORY_FOR_THE_THIRD_START + _RUN
    procfile = "long: exec sleep 1000\nshort: exec true\n"
    with running(tmp_path, procfile, program=program) as process:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Cannot allocate memory" in output
        wait_until(lambda: living_processes(tmp_path) == [])


def test_the_announcer_ends_when_its_supervisor_has_ended(
    capfd: pytest.CaptureFixture[str],
) -> None:
    nobody = Announcement("ready", "127.0.0.1", http_port=1, sftp_port=1)
    announce(nobody, supervisor=os.getppid() + 1)
    assert capfd.readouterr() == ("", "")
