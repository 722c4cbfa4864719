"""A measured ratio: how often ours is done in the time of one of the peer's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Medians in seconds, and the mark that the ratio has to pass."""

    what: str
    peer: str
    ours_seconds: float
    peer_seconds: float
    mark: float

    @property
    def value(self) -> float:
        """The peer's time over ours."""
        return self.peer_seconds / self.ours_seconds

    @property
    def passed(self) -> bool:
        """Whether the mark is reached."""
        return self.value >= self.mark


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measured(
    what: str,
    peer: str,
    mark: float,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int,
    ours_a_round: int = 1,
) -> Ratio:
    """Run both in turns, so that a machine that slows down slows both; the medians of all runs."""
    our_times: list[float] = []
    their_times: list[float] = []
    for _ in range(rounds):
        our_times += [seconds(ours) for _ in range(ours_a_round)]
        their_times.append(seconds(theirs))
    return Ratio(what, peer, statistics.median(our_times), statistics.median(their_times), mark)
