"""Call the REST API with random valid and invalid input, drawn from the deployment's own OpenAPI schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 100
"""How many cases of an operation are drawn from one seed."""


@dataclass
class FuzzResult:
    """The result of all calls: ``responses`` by operation and status, ``failures`` by description.

    The value of a failure is the curl command that reproduces it.
    """

    cases: int = 0
    responses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ``AssertionError`` with every kind of failure."""
        assert not self.failures, "\n\n".join(
            f"{description}\n{command}" for description, command in self.failures.items()
        )


def fuzz(url: str, api_key: str, *, cases: int, seed: int, examples: int = EXAMPLES) -> FuzzResult:
    """Make at least ``cases`` calls to the deployment at ``url``, and check every response against the schema.

    The calls are the schema's examples, values at and beyond its limits, random valid and invalid calls, and
    chains of calls along its links. The seed is increased until there are enough calls. Stops after the first
    seed with a failure.
    """
    result = FuzzResult()
    while result.cases < cases and not result.failures:
        for event in _events(url, api_key, seed=seed, examples=examples):
            _record(result, event)
        seed += 1
    return result


def _events(url: str, api_key: str, *, seed: int, examples: int) -> Iterator[Any]:
    # schemathesis takes seconds to import, and every process of pytest-xdist imports this module.
    import schemathesis
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import from_schema

    settings = {
        "seed": seed,
        "headers": {"Authorization": f"Token {api_key}"},
        "continue-on-failure": True,
        "request-timeout": 30,
        "suppress-health-check": ["all"],
        "generation": {"max-examples": examples, "database": "none"},
        # A date can match the schema and not exist, and an end can be before its start.
        "checks": {"positive_data_acceptance": {"enabled": False}},
    }
    config = SchemathesisConfig.from_dict(settings)
    schema = schemathesis.openapi.from_url(f"{url}/api/schema/full/", config=config)
    yield from from_schema(schema).execute()


def _record(result: FuzzResult, event: Any) -> None:
    from schemathesis.engine import events

    if isinstance(event, events.NonFatalError):
        result.failures[f"{event.label}: {event.info.title}"] = event.info.message
    if not isinstance(event, events.ScenarioFinished):
        return
    for case_id, interaction in event.recorder.interactions.items():
        result.cases += 1
        if interaction.response is not None:
            operation = event.recorder.cases[case_id].value.operation.label
            result.responses[operation, interaction.response.status_code] += 1
    for checks in event.recorder.checks.values():
        for found in (check.failure_info for check in checks if check.failure_info):
            failure = found.failure
            description = f"{failure.operation}: {failure.title}: {failure.message}"
            result.failures.setdefault(description, found.code_sample)
