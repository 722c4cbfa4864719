"""Supervisors and proxies wait as long as a process needs to drain."""

from __future__ import annotations

import re

import pytest

from headend.config.draining import drain_seconds
from headend.http import gunicorn_config
from headend.http.gunicorn_worker import DRAIN_IDLE_SECONDS
from tests.deploy.tools import DEPLOY

EXIT_SECONDS = 10
"""How long a process may take to exit after the drain time."""


def numbers(file: str, pattern: str) -> list[int]:
    """Return the numbers that a pattern finds in a file of deploy/. There must be one."""
    found = [int(number) for number in re.findall(pattern, (DEPLOY / file).read_text())]
    assert found, f"{file}: nothing matches {pattern}"
    return found


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("systemd/headend@.service", r"TimeoutStopSec=(\d+)\n"),
        ("compose.yaml", r"stop_grace_period: (\d+)s\n"),
        ("aws/headend.yaml", r"StopTimeout: (\d+)\n"),
    ],
)
def test_a_process_is_not_killed_before_the_drain_time_is_over(file: str, pattern: str) -> None:
    assert min(numbers(file, pattern)) >= drain_seconds() + EXIT_SECONDS


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("nginx/headend.conf", r"keepalive_timeout (\d+)s;"),
        ("caddy/Caddyfile", r"keepalive (\d+)s\n"),
    ],
)
def test_a_proxy_closes_unused_connections_before_a_process_that_ends_does(
    file: str, pattern: str
) -> None:
    assert max(numbers(file, pattern)) < DRAIN_IDLE_SECONDS


def test_the_load_balancer_of_aws_closes_unused_connections_before_a_web_process_does() -> None:
    [seconds] = numbers("aws/headend.yaml", r'idle_timeout\.timeout_seconds, Value: "(\d+)"')
    assert seconds < gunicorn_config.keepalive
