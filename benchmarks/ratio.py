"""A ratio: how many times as fast as a peer this project is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """The median durations in seconds, and the ratio that must be reached."""

    what: str
    peer: str
    ours_seconds: float
    peer_seconds: float
    target: float

    @property
    def value(self) -> float:
        """The peer's duration divided by ours."""
        return self.peer_seconds / self.ours_seconds

    @property
    def passed(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target


def duration(work: Callable[[], object]) -> float:
    """Return the duration of one call in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(
    what: str,
    peer: str,
    target: float,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int,
    ours_per_round: int = 1,
) -> Ratio:
    """Run both alternately, so that a slower machine affects both. The ratio compares the medians."""
    our_durations: list[float] = []
    their_durations: list[float] = []
    for _ in range(rounds):
        our_durations += [duration(ours) for _ in range(ours_per_round)]
        their_durations.append(duration(theirs))
    return Ratio(
        what, peer, statistics.median(our_durations), statistics.median(their_durations), target
    )
