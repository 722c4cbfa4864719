"""Whatever is called, the answer is in the schema; `make stress` does the same with thousands of calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployment import Deployment
from tests.services.fuzzing import fuzz

pytestmark = pytest.mark.starts_processes

OPERATIONS = {
    "GET /readings",
    "POST /readings/file",
    "GET /readings/file",
    "DELETE /readings/file",
    "GET /readings/files",
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """An embedded one, with some readings."""
    started = Deployment(tmp_path_factory.mktemp("fuzz") / "home", {"SIMULATION_DEVICES": "50"})
    started.start()
    yield started
    started.stop()


def test_every_answer_is_one_that_the_schema_has(deployment: Deployment) -> None:
    outputs = deployment.outputs()
    fuzzed = fuzz(outputs["apiGatewayInvokeURL"], outputs["ApiKey"], cases=300, seed=1, examples=10)
    fuzzed.check()
    assert fuzzed.cases >= 300
    succeeded = {operation for operation, status in fuzzed.answers if status == 200}
    # A request that has ended before it is cancelled was reached all the same.
    if ("DELETE /readings/file", 409) in fuzzed.answers:
        succeeded.add("DELETE /readings/file")
    assert succeeded == OPERATIONS
