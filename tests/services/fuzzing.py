"""Calls that nobody would think of, drawn from the deployment's own OpenAPI schema."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

EXAMPLES = 100
"""How many cases of an operation are drawn from one seed; the next seed draws others."""


@dataclass
class Fuzzed:
    """What became of all cases; ``failures`` says of each kind of failure how to see one again."""

    cases: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ``AssertionError`` with every kind of failure."""
        assert not self.failures, "\n\n".join(
            f"{what}\n{again}" for what, again in self.failures.items()
        )


def fuzz(url: str, api_key: str, *, cases: int, seed: int, examples: int = EXAMPLES) -> Fuzzed:
    """Make at least ``cases`` calls of the deployment at ``url`` and check every answer.

    Valid and invalid calls of each operation, and chains of calls along the schema's links.
    """
    outcome = Fuzzed()
    while outcome.cases.total() < cases and not outcome.failures:
        _round(outcome, url, api_key, seed=seed, examples=examples)
        seed += 1
    return outcome


def _round(outcome: Fuzzed, url: str, api_key: str, *, seed: int, examples: int) -> None:
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Token {api_key}"},
            "continue-on-failure": True,
            "request-timeout": 30,
            "suppress-health-check": ["all"],
            "output": {"sanitization": {"enabled": False}},
            "generation": {"max-examples": examples, "database": "none"},
            "warnings": False,
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/api/schema/", config=config)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            outcome.cases[event.phase.value] += len(event.recorder.interactions)
            _note_failures(outcome, event)
        elif isinstance(event, events.NonFatalError):
            outcome.failures[f"{event.label}: {event.info.title}"] = event.info.message


def _note_failures(outcome: Fuzzed, event: events.ScenarioFinished) -> None:
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                outcome.failures.setdefault(
                    f"{failure.operation}: {failure.title}: {failure.message}",
                    check.failure_info.code_sample,
                )


__all__ = ["Fuzzed", "fuzz", "shlex"]
