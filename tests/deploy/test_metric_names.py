"""Alerts and the dashboard name metrics that headend exports, and no metric is missing on the dashboard."""

from __future__ import annotations

import re

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

import exports.sftp.metrics  # noqa: F401 (registers the metrics of an SFTP process)
from headend.monitoring import metrics
from tests.deploy.tools import DEPLOY

_NAME = re.compile(r"\bheadend_[a-z_]+")
_PARTS_OF_A_HISTOGRAM = ("_bucket", "_gcount", "_gsum")


def exported_by(registry: CollectorRegistry) -> set[str]:
    """Return the names of the samples that a scrape returns."""
    lines = generate_latest(registry).decode().splitlines()
    return {match[0] for line in lines if (match := _NAME.match(line))} - {
        name for line in lines if "_created" in line for name in _NAME.findall(line)
    }


@pytest.fixture
def exported(db: None) -> set[str]:
    """The names of the samples of a web process and of an SFTP process."""
    return exported_by(metrics._registry) | exported_by(REGISTRY)


def names_in(file: str) -> set[str]:
    return set(_NAME.findall((DEPLOY / file).read_text()))


@pytest.mark.parametrize("file", ["prometheus/alerts.yml", "grafana/headend.json"])
def test_every_metric_that_is_named_is_exported(exported: set[str], file: str) -> None:
    named = names_in(file)
    assert named
    assert named - exported == set()


def test_the_dashboard_shows_every_metric(exported: set[str]) -> None:
    shown = {name.removesuffix("_bucket") for name in names_in("grafana/headend.json")}
    all_metrics = {name for name in exported if not name.endswith(_PARTS_OF_A_HISTOGRAM)} | {
        "headend_part_seconds"
    }
    assert all_metrics - shown == set()
