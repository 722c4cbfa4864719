"""The tour says in one sentence why it cannot use a deployment."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest
import requests
from django.core.management import call_command
from django.core.management.base import CommandError

from headend.management.commands import tour
from tests.ports import unused_port


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with an RSA key."""
    file = tmp_path_factory.mktemp("tour") / "private.pem"
    paramiko.RSAKey.generate(1024).write_private_key_file(str(file))
    return file


def error_of_tour(url: str, key_file: Path) -> str:
    """Run the tour at a URL, and return its error."""
    with pytest.raises(CommandError) as error:
        call_command(
            "tour",
            "--url",
            url,
            "--sftp",
            "localhost:1",
            "--key",
            "hek_",
            "--private-key",
            key_file,
        )
    return str(error.value)


def test_a_deployment_that_does_not_answer_is_named(key_file: Path) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    assert error_of_tour(f"{url}/", key_file) == (
        f"{url} does not answer. Is `python manage.py run` running, and with the same HEADEND_PORT and"
        " HEADEND_PUBLIC_URL as this command?"
    )


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (requests.ReadTimeout("HTTPConnectionPool(…)"), "https://headend.example does not answer."),
        (requests.exceptions.SSLError("HTTPSConnectionPool(…)"), "there is no TLS connection"),
        (requests.JSONDecodeError("Expecting value", "<html>", 0), "does not answer with JSON"),
        (paramiko.AuthenticationException("Authentication failed."),
         "The SFTP server localhost:1 cannot be used: Authentication failed."),
    ],
)  # fmt: skip
def test_other_problems_are_named(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, message: str
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(tour, "run_tour", fail)
    error = error_of_tour("https://headend.example", key_file)
    assert message in error
    assert "Pool(" not in error


def test_a_key_that_is_refused_is_named(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, *_: object, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.url = 401, url
        answer.request = requests.Request("GET", url).prepare()
        answer._content = b'{"error": "The API key is unknown or revoked."}'
        return answer

    monkeypatch.setattr(requests, "get", refuse)
    assert error_of_tour("https://headend.example", key_file) == (
        "The API key is refused. GET https://headend.example/readings answered 401:"
        ' {"error": "The API key is unknown or revoked."} Use --key for another one.'
    )


def test_a_url_without_a_scheme_is_named(key_file: Path) -> None:
    assert error_of_tour("headend.example", key_file).startswith("headend.example: Invalid URL")
