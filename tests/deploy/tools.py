"""The programs that check the files in deploy/. A test is skipped if its program is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def run(program: str, *arguments: str | Path, cwd: Path = DEPLOY) -> str:
    """Run the program and return what it prints. Fail if it ends with an error; skip the test if it is missing."""
    environment = Path(sys.prefix)
    separate = environment.with_name(f"{environment.name}-{program}")
    # Users other than the superuser often do not have /usr/sbin in their PATH.
    folders = (environment / "bin", separate / "bin", os.environ.get("PATH", ""), "/usr/sbin")
    path = shutil.which(program, path=os.pathsep.join(map(str, folders)))
    if path is None:
        pytest.skip(f"{program} is not installed; `make deploy-check` installs it where it can")
    ended = subprocess.run(
        [path, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
