"""A misspelt name of a setting is reported with the most similar name, and stops no process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import pytest
from celery.signals import beat_init
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

from headend.config.checks import TAG, refuse_wrong_settings
from headend.config.environment import names_read
from headend.config.unknown_settings import unknown_settings
from headend.diagnosis.finding import State
from headend.diagnosis.services import check_settings
from headend.http import gunicorn_config
from tests.test_docs import variables_read_by_the_product


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("HEADEND_WEBPORT", "HEADEND_PORT"),
        ("HEADEND_SECRETKEY_FILE", "HEADEND_SECRET_KEY"),
        ("SIMULATION_METERS", "SIMULATION_DEVICES"),
        ("SIMULATION_METRES", "SIMULATION_DEVICES"),
        ("SIMULATION_SHARE", "SIMULATION_SHARES"),
        ("SIMULATION_COLOUR", None),
        ("HEADEND_SFTP_PORT", "SFTP_PORT"),
        ("SIMULATON_DEVICES", "SIMULATION_DEVICES"),
        ("EXPORT_URL", "EXPORTS_URL"),
        ("SFTP_PROT", "SFTP_PORT"),
        ("WEB_WORKER", "WEB_WORKERS"),
        ("READINGS_QQQQQQQQQQQQ", None),
    ],
)
def test_a_misspelt_name_is_reported_with_the_most_similar_one(
    misspelt: str, meant: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(misspelt, "1")
    [found] = unknown_settings()
    assert (found.name, found.nearest) == (misspelt, meant)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADEND_WEBPORT", ""),
        ("METRICS_TOKEN_FILE", "/run/secrets/token"),
        ("HEADEND_DRAIN_SECONDS", "30"),
        ("HEADEND_DOMAIN", "headend.example"),
        ("HEADEND_WEB_SERVICE_HOST", "10.0.0.7"),
        ("HEADEND_WEB_PORT_8000_TCP_ADDR", "10.0.0.7"),
        ("HEADEND_WEB_PORT", "tcp://10.0.0.7:8000"),
        ("WEB_CONCURRENCY", "2"),
        ("SFTP_HOST", "files.example"),
        ("DATABASE_HOST", "db"),
        ("DATABASE_USER", "headend"),
        ("SMTP_PORT", "587"),
        ("CELERY_APP", "headend"),
        ("CELERY_BROKER_READ_URL", "redis://127.0.0.1/1"),
    ],
)
def test_settings_and_variables_of_other_programs_are_not_reported(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert list(unknown_settings()) == []


def test_every_setting_is_known_in_every_process() -> None:
    assert variables_read_by_the_product() <= names_read()


def test_commands_and_doctor_warn_and_the_servers_and_workers_log(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    monkeypatch.setenv("HEADEND_WEBPORT", "8001")
    [warning] = run_checks(tags=[TAG])
    assert warning.id == "headend.W004"
    refuse_wrong_settings()
    [finding] = check_settings()
    assert finding.state == State.WARNING
    assert "HEADEND_WEBPORT is set, but headend has no setting of this name" in finding.text
    assert "The most similar setting is HEADEND_PORT" in finding.hint
    gunicorn_config.on_starting(None)
    # It would configure the log again.
    monkeypatch.setattr(django, "setup", lambda: None)
    beat_init.send(sender=None)
    assert [line["problem"] for line in log_lines()] == [warning.msg] * 2
