"""The commands that ``manage.py outputs`` prints."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from headend.config.secrets import FileSecrets
from headend.deployment import bootstrap, outputs
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
    values = Outputs(
        "http://localhost", "key", "localhost", 2222, "user", "secret", f"{home}/key", f"{home}/known",
        "http://localhost/", "operator", lambda: "password",
    )  # fmt: skip
    browse = values.as_text().splitlines()[-1]
    assert shlex.split(browse) == ["sftp", *options, "user@localhost"]


@pytest.mark.django_db
def test_only_the_set_up_replaces_known_hosts(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "known_hosts_lines", lambda host, port: f"[{host}]:{port} key\n")
    settings.HEADEND_HOME = tmp_path
    settings.SECRETS = FileSecrets(tmp_path / "secrets")
    settings.SFTP_PUBLIC_HOST = "localhost"
    for secret in (bootstrap.api_key_secret(), bootstrap.operator_password_secret()):
        settings.SECRETS.put(secret, "secret")
    User.objects.create_user(bootstrap.OPERATOR)
    known_hosts = tmp_path / "known_hosts"

    settings.SFTP_PORT = 2300
    assert outputs.collect().known_hosts_file == str(known_hosts)
    assert known_hosts.read_text() == "[localhost]:2300 key\n"
    # The shell of another command does not have the deployment's variables.
    settings.SFTP_PORT = 2222
    outputs.collect()
    assert known_hosts.read_text() == "[localhost]:2300 key\n"
    outputs.write_known_hosts()
    assert known_hosts.read_text() == "[localhost]:2222 key\n"
