"""A short version of ``make attack``: fewer connections, for a shorter time, and no limit for a delay."""

from __future__ import annotations

import pytest

from tests.attack import http_attacks, poisoned_inputs, revocations, sftp_attacks
from tests.attack.attack import Attack, Scale, run
from tests.attack.target import Target
from tests.deployment import Deployment

SHORT = Scale(
    connections=30, strangers=60, unread_pages=6, page_size=2000, handles=150, sessions=15,
    body_mebibytes=8, seconds=0.5, revocation_seconds=60,
)  # fmt: skip
ATTACKS = [
    *http_attacks.ATTACKS, *sftp_attacks.ATTACKS, poisoned_inputs.broken_parameters, *revocations.ATTACKS,
]  # fmt: skip


@pytest.fixture(scope="module")
def target(running_deployment: Deployment) -> Target:
    """The deployment that other tests use too, with two more suppliers."""
    return Target.of(running_deployment)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_does_no_harm(target: Target, attack: Attack) -> None:
    report = run(attack, target, SHORT)
    assert report.problems == []
    assert target.deployment.answers()
