"""The rows of a benchmark: a ratio to a peer, a figure with a limit, or a point of a curve."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Ratio:
    """The median durations in seconds, and the ratio that must be reached."""

    what: str
    peer: str
    ours_seconds: float
    peer_seconds: float
    target: float

    decides = True

    @property
    def value(self) -> float:
        """The peer's duration divided by ours."""
        return self.peer_seconds / self.ours_seconds

    @property
    def passed(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What was measured, the peer, the result and the requirement, as text."""
        durations = f"{_seconds(self.peer_seconds)} / {_seconds(self.ours_seconds)}"
        return self.what, self.peer, f"{self.value:.2f} ({durations})", f"≥ {self.target:g}"

    def __str__(self) -> str:
        return f"{self.what}, compared with {self.peer}: {self.cells[2]}"


@dataclass(frozen=True)
class Figure:
    """A measured value without a peer, and the limit that it must keep: a maximum, or else a minimum."""

    what: str
    value: float
    unit: str
    limit: float
    limit_is_maximum: bool = True

    @property
    def decides(self) -> bool:
        """Whether a miss is a failure. A time or a rate without a peer also depends on other work of the machine."""
        return self.unit not in {"s", "ms"} and not self.unit.endswith("/s")

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit if self.limit_is_maximum else self.value >= self.limit

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What was measured, no peer, the value and the limit, as text."""
        sign = "≤" if self.limit_is_maximum else "≥"
        return (
            self.what,
            "none",
            f"{self.value:,.4g} {self.unit}",
            f"{sign} {self.limit:g} {self.unit}",
        )

    def __str__(self) -> str:
        return f"{self.what}: {self.cells[2]}"


@dataclass(frozen=True)
class Point:
    """A value measured at one size, for example the duration of a page with a million stored readings."""

    what: str
    unit: str
    size: int
    value: float

    def __str__(self) -> str:
        return f"{self.size:,}: {self.what}: {self.value:,.4g} {self.unit}"


PROCESSOR_TIME = "ms of processor time"
Row = Ratio | Figure | Point
_KINDS: dict[str, type[Row]] = {kind.__name__: kind for kind in (Ratio, Figure, Point)}


def as_json(row: Row) -> str:
    """Return the row as one line, for :func:`from_json`."""
    return json.dumps([type(row).__name__, asdict(row)])


def from_json(line: str) -> Row:
    """Return the row of a line."""
    name, values = json.loads(line)
    return _KINDS[name](**values)


def _seconds(duration: float) -> str:
    return f"{duration:.2f} s" if duration >= 1 else f"{duration * 1000:.3g} ms"


def duration(work: Callable[[], object]) -> float:
    """Return the duration of one call in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def processor_milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median processor time of a call, of all threads. Other work on the machine does not add to it."""
    durations = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        durations.append(time.process_time() - started)
    return 1000 * statistics.median(durations)


def compare(
    what: str,
    peer: str,
    target: float,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int,
    ours_per_round: int = 1,
    before_round: Callable[[], object] = lambda: None,
) -> Ratio:
    """Run both alternately, so that a slower machine affects both. The ratio compares the medians.

    ``before_round`` is called before each round. Its time is not measured.
    """
    our_durations: list[float] = []
    their_durations: list[float] = []
    for _ in range(rounds):
        before_round()
        our_durations += [duration(ours) for _ in range(ours_per_round)]
        their_durations.append(duration(theirs))
    return Ratio(
        what, peer, statistics.median(our_durations), statistics.median(their_durations), target
    )
