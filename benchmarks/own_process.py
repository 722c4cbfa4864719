"""Run a module of this package in a new process, with a new home folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.preparation import INTERRUPTS
from benchmarks.ratio import Row, from_json


def measure_in_own_process(module: str, *sizes: int) -> tuple[list[Row], bool]:
    """Run ``measure(folder, *sizes)`` of a module. Return its rows, and whether it ended well.

    The folder is deleted at the end, even when this process is interrupted.
    """
    # An interrupt between two of the next steps would leave the folder or the process behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    with tempfile.TemporaryDirectory(prefix="headend-bench-") as folder:
        rows, home = Path(folder) / "rows", Path(folder) / "home"
        rows.touch()
        home.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.run_topic", module, str(rows), *map(str, sizes)],
            env=os.environ
            | {
                "HEADEND_HOME": str(home),
                "LOG_LEVEL": "WARNING",
                "HEADEND_ALLOWED_HOSTS": "testserver,127.0.0.1",
                "DJANGO_SETTINGS_MODULE": "headend.settings",
            },
            # Ctrl-C reaches only this process. It then ends the other with one signal, which lets that one clean up.
            start_new_session=True,
        )
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
            process.wait()
        finally:
            process.terminate()
            process.wait()
        return [from_json(line) for line in rows.read_text().splitlines()], process.returncode == 0
