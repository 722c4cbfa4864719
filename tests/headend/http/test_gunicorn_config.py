"""The settings of the web server come from the environment."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from headend.http import gunicorn_config

WEB_SETTINGS = ("WEB_WORKERS", "WEB_THREADS", "WEB_CONNECTIONS", "WEB_CONNECTIONS_PER_ADDRESS")


def config(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """Return the settings of gunicorn in an environment with these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(gunicorn_config.__file__)


def test_numbers_and_the_drain_time_can_be_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = (*WEB_SETTINGS, "HEADEND_DRAIN_SECONDS")
    read = config(monkeypatch, **dict(zip(names, ("3", "5", "70", "7", "60"), strict=True)))
    found = [
        read[name]
        for name in (
            "workers",
            "threads",
            "worker_connections",
            "connections_per_address",
            "graceful_timeout",
        )
    ]
    assert found == [3, 5, 70, 7, 60]


@pytest.mark.parametrize("name", [*WEB_SETTINGS, "HEADEND_DRAIN_SECONDS"])
def test_a_wrong_setting_ends_the_web_server_with_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as ended:
        config(monkeypatch, **{name: "many"})
    assert ended.value.code == f"headend: {name} is 'many'; it must be a whole number."
