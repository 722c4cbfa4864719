"""Whether this machine's clock can be trusted. Old data are deleted only then.

``READINGS_RETENTION_DAYS`` and ``EXPORTS_RETENTION_DAYS`` delete data, and a clock that jumps years ahead makes all
data look old. So each check compares how far the clock has moved since the last check with how long the machine has
run since then. After a jump, nothing is deleted until the clock has run steadily for a day. So operators have time to
correct it.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

log = logging.getLogger(__name__)

STEADY_AFTER = timedelta(days=1)
"""How long the clock must have run without a jump."""
MAX_DIFFERENCE = timedelta(minutes=5)
"""How much the clock and the time that the machine has run may differ. More is a jump."""
MAX_TIME_OFF = timedelta(days=1)
"""How far the clock may move between two starts of the machine. More is a jump. The time in between is not known."""
RECORD_INTERVAL = timedelta(minutes=10)
"""How old the record in the file may become."""
_FILE = "clock.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UPTIME = Path("/proc/uptime")


@dataclass(frozen=True)
class ClockRecord:
    """What a check has seen."""

    time: float
    """The clock, in seconds since 1970."""
    uptime: float
    """How long the machine has run, in seconds, sleep included. Setting the clock does not change it."""
    boot: str
    """The id of this start of the machine. Empty if the system has none; then ``uptime`` means nothing."""
    steady_since: float = 0.0
    """The time of the first check after the last jump."""

    @classmethod
    def now(cls) -> ClockRecord:
        """Return what this machine's clocks show now."""
        try:
            boot, uptime = _BOOT_ID.read_text().strip(), float(_UPTIME.read_text().split()[0])
        except (OSError, ValueError):
            boot, uptime = "", 0.0
        return cls(time.time(), uptime, boot)

    def after(self, earlier: ClockRecord | None) -> ClockRecord:
        """Return this record with the ``steady_since`` that follows from the record of the last check."""
        if earlier is None:
            return self
        jumped = self._has_jumped_since(earlier)
        steady_since = self.time if jumped else earlier.steady_since
        return ClockRecord(self.time, self.uptime, self.boot, steady_since)

    @property
    def is_steady(self) -> bool:
        """Whether the last jump is long enough ago."""
        return self.time - self.steady_since >= STEADY_AFTER.total_seconds()

    def must_replace(self, earlier: ClockRecord) -> bool:
        """Whether the record must be written: the machine was started again, or the last record is old."""
        too_old = self.time - earlier.time > RECORD_INTERVAL.total_seconds()
        return too_old or not self._is_same_run_as(earlier)

    def _is_same_run_as(self, earlier: ClockRecord) -> bool:
        return bool(self.boot) and self.boot == earlier.boot and self.uptime >= earlier.uptime

    def _has_jumped_since(self, earlier: ClockRecord) -> bool:
        moved, difference = self.time - earlier.time, MAX_DIFFERENCE.total_seconds()
        if self._is_same_run_as(earlier):
            return abs(moved - (self.uptime - earlier.uptime)) > difference
        return not -difference <= moved <= MAX_TIME_OFF.total_seconds()


def clock_is_steady(home: Path) -> bool:
    """Return whether old data may be deleted, and record what the clocks show in the home folder.

    Call it often, so that there is a record from before a jump. The first check finds no record and trusts the clock.
    """
    file = home / _FILE
    earlier = _read(file)
    now = ClockRecord.now().after(earlier)
    jumped = earlier is not None and now.steady_since != earlier.steady_since
    if jumped:
        log.warning(
            "the clock has jumped; no old data are deleted until it has run steadily for a day"
        )
    if earlier is None or jumped or now.must_replace(earlier):
        _write(file, now)
    return now.is_steady


def _read(file: Path) -> ClockRecord | None:
    try:
        return ClockRecord(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(file: Path, record: ClockRecord) -> None:
    """Replace the file in one step. A full disk is not an error: the earlier record stays."""
    temporary = file.with_name(f".{uuid.uuid4()}")
    try:
        temporary.write_text(json.dumps(asdict(record)))
        temporary.replace(file)
    except OSError as error:
        log.warning("the state of the clock is not recorded", extra={"error": str(error)})
        temporary.unlink(missing_ok=True)
