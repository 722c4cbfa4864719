"""Calls that nobody would think of, drawn from the deployment's own OpenAPI schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

EXAMPLES = 100
"""How many cases of an operation are drawn from one seed; the next seed draws others."""


@dataclass
class Fuzzed:
    """What became of all calls: ``answers`` by operation and status, ``failures`` by what is wrong.

    A failure comes with the curl line that shows it again.
    """

    cases: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ``AssertionError`` with every kind of failure."""
        assert not self.failures, "\n\n".join(
            f"{what}\n{again}" for what, again in self.failures.items()
        )


def fuzz(url: str, api_key: str, *, cases: int, seed: int, examples: int = EXAMPLES) -> Fuzzed:
    """Make ``cases`` calls or some more of the deployment at ``url``, and check every answer.

    They are the schema's examples, its bounds and what lies beyond them, valid and invalid calls at random,
    and chains of calls along its links; new ones by the next seed until there are enough.
    """
    fuzzed = Fuzzed()
    while fuzzed.cases < cases and not fuzzed.failures:
        for event in _events(url, api_key, seed=seed, examples=examples):
            _note(fuzzed, event)
        seed += 1
    return fuzzed


def _events(url: str, api_key: str, *, seed: int, examples: int) -> Iterator[Any]:
    settings = {
        "seed": seed,
        "headers": {"Authorization": f"Token {api_key}"},
        "continue-on-failure": True,
        "request-timeout": 30,
        "suppress-health-check": ["all"],
        "generation": {"max-examples": examples, "database": "none"},
        # Not every date that matches the schema exists, nor does every pair stand in order.
        "checks": {"positive_data_acceptance": {"enabled": False}},
    }
    config = SchemathesisConfig.from_dict(settings)
    schema = schemathesis.openapi.from_url(f"{url}/api/schema/", config=config)
    yield from from_schema(schema).execute()


def _note(fuzzed: Fuzzed, event: Any) -> None:
    if isinstance(event, events.NonFatalError):
        fuzzed.failures[f"{event.label}: {event.info.title}"] = event.info.message
    if not isinstance(event, events.ScenarioFinished):
        return
    for case_id, interaction in event.recorder.interactions.items():
        fuzzed.cases += 1
        if interaction.response is not None:
            operation = event.recorder.cases[case_id].value.operation.label
            fuzzed.answers[operation, interaction.response.status_code] += 1
    for checks in event.recorder.checks.values():
        for found in (check.failure_info for check in checks if check.failure_info):
            what = f"{found.failure.operation}: {found.failure.title}: {found.failure.message}"
            fuzzed.failures.setdefault(what, found.code_sample)
