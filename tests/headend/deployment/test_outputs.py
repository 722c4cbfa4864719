"""The commands that ``manage.py outputs`` prints."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import pytest

from headend.deployment.outputs import Outputs
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet


@pytest.mark.parametrize(
    ("home", "options"),
    [
        ("/srv/home", ["-i", "/srv/home/key", "-P", "2222", "-o", "UserKnownHostsFile=/srv/home/known"]),
        ("/a b", ["-i", "/a b/key", "-P", "2222", "-o", 'UserKnownHostsFile="/a b/known"']),
        (
            "/5%",
            ["-o", 'IdentityFile="/5%%/key"', "-P", "2222", "-o", 'UserKnownHostsFile="/5%%/known"'],
        ),
    ],
)  # fmt: skip
def test_the_sftp_command_names_the_files_of_a_home_folder_of_any_name(
    store: ReadingsRepository, home: str, options: list[str]
) -> None:
    store.write(readings_for(Fleet(devices=1), datetime(2023, 2, 27, tzinfo=UTC)))
    outputs = Outputs(
        "http://localhost", "key", "localhost", 2222, "user", "secret", f"{home}/key", f"{home}/known",
        "http://localhost/", "operator", "password",
    )  # fmt: skip
    browse = outputs.as_text().splitlines()[-1]
    assert shlex.split(browse) == ["sftp", *options, "user@localhost"]
