"""The peak memory of a process."""

from __future__ import annotations

from pathlib import Path


def peak_mebibytes(pid: int) -> float:
    """Return the peak memory of a process until now in MiB, or 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0)
