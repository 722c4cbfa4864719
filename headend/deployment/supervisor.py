"""The deployment's processes: started together, ended together, however early the end is asked for."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

from honcho.environ import parse_procfile
from honcho.manager import Manager

_LOOK_AGAIN_SECONDS = 0.05
_ENDED_BY_SIGNAL = {130, 143}


class Processes(Manager):  # type: ignore[misc] # honcho ships no types
    """honcho's manager, which may also be ended while it is still starting."""

    def __init__(self) -> None:
        super().__init__()
        signal.signal(signal.SIGALRM, _end)
        os.register_at_fork(after_in_child=_leave_signals_to_the_first)

    def _system_print(self, data: str) -> None:
        # honcho prints in its signal handlers. One that came in the middle of a line may not: the
        # error would end the manager, and leave its processes behind.
        with suppress(RuntimeError):
            super()._system_print(data)

    def terminate(self) -> None:
        """End all processes; those that are still starting, as soon as they have started."""
        if self._all_started():
            super().terminate()
        else:
            # honcho ends processes by their ids, which it has not been told yet.
            signal.setitimer(signal.ITIMER_REAL, _LOOK_AGAIN_SECONDS)


def run(procfile: Path) -> int:
    """Run what ``procfile`` names until a signal or the end of one of them; the exit code for it.

    0 after SIGINT, SIGTERM or a closed terminal. A process that ends by itself takes the others
    with it: a deployment that limps looks well.
    """
    processes = Processes()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    for name, command in parse_procfile(procfile.read_text()).processes.items():
        processes.add_process(name, command, env=environment, cwd=str(procfile.parent))
    # Each process is a session of its own: without this, closing the terminal would leave them behind.
    signal.signal(signal.SIGHUP, _end)
    processes.loop()
    if processes.returncode in _ENDED_BY_SIGNAL:
        return 0
    return processes.returncode or 1


def _leave_signals_to_the_first() -> None:
    """For the branches that honcho forks for its own use: they end when their process has ended.

    Not by ignoring signals, which the processes they start would go on doing.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _go_on)


def _go_on(number: int, frame: FrameType | None) -> None:
    """A signal that is meant for another process."""


def _end(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
