"""How pytest-xdist distributes the tests: in groups that share fixtures, the longest groups first.

A group runs in one process, in order. It is a file by default. pytest-xdist's own marks for groups have no effect
with pytest 9.
"""

from __future__ import annotations

import re

import pytest
from xdist.dsession import LoadScopeScheduling
from xdist.remote import Producer
from xdist.workermanage import WorkerController

_ENGINE = re.compile(r"\[(delta|clickhouse|timestream)\b")
_ON_RUNNING_DEPLOYMENT = {
    "tests/headend/deployment/test_run.py",
    "tests/services/test_attack.py",
    "tests/services/test_doctor.py",
    "tests/services/test_fuzz.py",
    "tests/services/test_synchronise.py",
    "tests/test_walkthrough.py",
}
_LONGEST_FIRST = [
    "e2e",
    "tests/services/on_cluster",
    "deployment",
    "contract",
    "timestream",
    "tests/contract/test_recovery.py",
    "tests/headend/test_every_url.py",
    "tests/services",
    "tests/upgrade",
    # These take seconds, as the longest of the fast tests.
    "tests/readings/repositories/test_pages_by_row.py",
    "tests/examples",
    "tests/readings/repositories",
    "tests/readings/ingest",
]
"""The paths with which the names of the longest groups begin, in the order of their start.

Short groups come last, so that no process is idle at the end.
"""


def group_of(nodeid: str) -> str:
    """Return the name of the group of a test.

    Tests that share a deployment are one group: the contract tests (only the test of recovery has its own), the
    browser tests, the tests on a cluster, and those with the fixture ``running_deployment``. So are those of
    Timestream. The tests of a repository are a group for each other engine.
    """
    file = nodeid.partition("::")[0]
    if file.startswith("tests/contract/") and file != "tests/contract/test_recovery.py":
        return "contract"
    if file.startswith("tests/services/on_cluster/"):
        return "tests/services/on_cluster"
    if file in _ON_RUNNING_DEPLOYMENT:
        return "deployment"
    if file.startswith("tests/e2e/"):
        return "e2e"
    engine = _ENGINE.search(nodeid) if file.startswith("tests/readings/repositories/") else None
    if "/test_timestream" in file or "/timestream_local/" in file:
        return "timestream"
    if engine:
        return "timestream" if engine[1] == "timestream" else f"{file}:{engine[1]}"
    return file


def rank(nodeid: str) -> int:
    """Return the place of a test's group in the order of start."""
    group = group_of(nodeid)
    for place, beginning in enumerate(_LONGEST_FIRST):
        if group.startswith(beginning):
            return place
    return len(_LONGEST_FIRST)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist ships no types
    """Give each process one group after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        # A process needs to know the test after the present one. The original gives it the next group when two tests
        # are left, which may take minutes, while other processes have nothing to do. After a process has crashed, its
        # groups are distributed again. All tests of some of them have run, so a process may need more than one group.
        while self.workqueue and not node.shutting_down and self._has_no_next_test(node):
            super()._reschedule(node)
        if not self.workqueue:
            super()._reschedule(node)

    def _has_no_next_test(self, node: WorkerController) -> bool:
        pending: int = self._pending_of(self.assigned_work[node])
        return pending < 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling | None:
    """Use the groups of this module unless another distribution was selected."""
    return GroupScheduling(config, log) if config.option.dist == "loadscope" else None
