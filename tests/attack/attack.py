"""What an attack is, and how it is run."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from tests.attack.innocent import Experience, innocent_client
from tests.attack.target import Target

MAX_DELAY_SECONDS = 1.0
"""How long ``/health/live`` and the page of another supplier may take during an attack on an otherwise idle machine."""


@dataclass(frozen=True)
class Scale:
    """How much of everything the attacks send. The defaults are those of ``make attack``."""

    connections: int = 200
    strangers: int = 500
    unread_pages: int = 16
    page_size: int = 50_000
    handles: int = 1000
    sessions: int = 300
    body_mebibytes: int = 200
    seconds: float = 8.0
    """How long an attack continues after all its connections are open."""
    revocation_seconds: float = 5.0
    """How long access may still work after it was taken away."""


@dataclass
class Outcome:
    """The result of one attack, in words. It failed to do harm if ``problems`` is empty."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def expect(self, held: bool, line: str) -> None:
        """Add a line to the result, and to the problems unless it held."""
        (self.lines if held else self.problems).append(line)


Attack = Callable[[Target, Scale, Outcome], None]
"""Attacks, and adds to the outcome what the deployment did. Its docstring is the input that the table shows."""


@dataclass(frozen=True)
class Report:
    """One row of the table."""

    outcome: Outcome
    experience: Experience
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What the deployment did wrong, except for delays."""
        return self.outcome.problems + self.experience.errors[:3]

    @property
    def delayed(self) -> list[str]:
        """The calls of the innocent client over HTTP that took too long."""
        return [
            f"{kind} took {seconds:.2f} s"
            for kind, seconds in self.experience.longest.items()
            if kind != "sftp" and seconds > MAX_DELAY_SECONDS
        ]


def run(attack: Attack, target: Target, scale: Scale, *, alone: bool = False) -> Report:
    """Run an attack while the innocent client uses the deployment, or ``alone``, if it ends the deployment."""
    outcome = Outcome()
    started = time.monotonic()
    with nullcontext(Experience()) if alone else innocent_client(target) as experience:
        try:
            attack(target, scale, outcome)
        except Exception as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
    return Report(outcome, experience, time.monotonic() - started)
