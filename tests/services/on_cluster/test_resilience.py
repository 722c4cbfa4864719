"""No request is lost and no partial file is ever visible. ``make stress`` repeats these tests with more requests."""

from __future__ import annotations

import pytest

from tests.services.cluster import Cluster
from tests.services.fault_proxy import Fault, FaultProxy
from tests.services.file_requests import Outcome, mixed_bodies, run_requests
from tests.services.message_duplicator import MessageDuplicator
from tests.services.on_cluster.conftest import HOURS
from tests.services.process_killer import ProcessKiller

REQUESTS = 10
BODIES = mixed_bodies(REQUESTS, hours=HOURS, seed=3)


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> Outcome:
    """The outcome of the same requests while nothing fails."""
    return run_requests(cluster, BODIES)


def test_file_requests_complete_with_the_same_files_while_processes_are_killed(
    cluster: Cluster, undisturbed: Outcome
) -> None:
    killer = ProcessKiller(cluster, kills=8, seed=1, pause=1.0)
    outcome = run_requests(cluster, BODIES, killer, pause=0.6)
    assert killer.killed.total() == 8
    outcome.check_against(undisturbed)


def test_file_requests_complete_with_the_same_files_while_calls_to_the_bucket_fail(
    cluster: Cluster, undisturbed: Outcome, proxy: FaultProxy
) -> None:
    proxy.share = 0.2
    try:
        outcome = run_requests(cluster, BODIES)
    finally:
        proxy.share = 0
    assert set(proxy.faults) == set(Fault)
    outcome.check_against(undisturbed)


def test_messages_that_arrive_twice_late_and_out_of_order_change_nothing(
    cluster: Cluster, undisturbed: Outcome, duplicator: MessageDuplicator
) -> None:
    duplicator.duplicates = True
    try:
        outcome = run_requests(cluster, BODIES)
    finally:
        duplicator.duplicates = False
    outcome.check_against(undisturbed)

    attempts = cluster.attempts()
    duplicator.deliver_again()
    assert duplicator.counted["delivered after all work was done"] > REQUESTS
    # When the workers have completed other work, they have also handled the messages before it.
    run_requests(cluster, BODIES[:2]).check()
    assert set(attempts) <= set(cluster.attempts())
