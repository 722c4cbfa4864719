"""The secrets store in a folder, and in AWS Secrets Manager if two processes create a secret at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import Signer
from pytest_django.fixtures import Settings

from headend.config import aws_secrets
from headend.config.aws_secrets import SecretsManager
from headend.config.folders import Folder
from headend.config.secrets import FileSecrets
from headend.config.signing_keys import loaded_on_first_use


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    """An empty store."""
    return FileSecrets(tmp_path)


def test_a_secret_is_created_once_and_can_be_replaced(secrets: FileSecrets) -> None:
    assert secrets.get("headend/api_key") is None
    assert secrets.get_or_make("headend/api_key", lambda: "first") == "first"
    assert secrets.get_or_make("headend/api_key", lambda: "second") == "first"
    secrets.put("headend/api_key", "third")
    assert secrets.get("headend/api_key") == "third"


def test_other_users_cannot_read_a_secret(secrets: FileSecrets) -> None:
    secrets.put("headend/sftp/private_key", "secret")
    path = secrets.path("headend/sftp/private_key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_all_threads_get_the_secret_of_the_thread_that_created_it_first(
    secrets: FileSecrets,
) -> None:
    numbers = count()
    with ThreadPoolExecutor(8) as threads:
        made = threads.map(
            lambda _: secrets.get_or_make("a", lambda: str(next(numbers))), range(50)
        )
    assert len(set(made)) == 1
    assert [path.name for path in secrets.root.iterdir()] == ["a"]


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../b", "", "a//b", ".hidden", "a\x00", "A"]
)
def test_a_name_that_leads_out_of_the_store_is_refused(secrets: FileSecrets, name: str) -> None:
    with pytest.raises(ValueError, match="not a valid name"):
        secrets.get(name)


def test_creating_a_store_creates_no_folder_and_writing_a_secret_does(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folders = [Folder("HEADEND_HOME", home), Folder("SECRETS_URL", home / "secrets")]
    secrets = FileSecrets(home / "secrets", folders)
    assert secrets.get("a") is None
    assert not home.exists()
    secrets.put("a", "value")
    assert secrets.get("a") == "value"


def test_a_secret_is_not_written_below_a_folder_that_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "not-mounted" / "secrets"
    secrets = FileSecrets(root, [Folder("SECRETS_URL", root)])
    with pytest.raises(ImproperlyConfigured, match=r"SECRETS_URL: the folder .* does not exist"):
        secrets.put("a", "value")
    assert list(tmp_path.iterdir()) == []


def test_a_secret_key_is_loaded_once_and_only_when_something_is_signed(settings: Settings) -> None:
    loads = []

    def load() -> str:
        loads.append(1)
        return "k" * 50

    settings.SECRET_KEY = loaded_on_first_use(load)
    assert loads == []
    signed = Signer().sign("text")
    assert Signer().unsign(signed) == "text"
    assert loads == [1]
    settings.SECRET_KEY = "k" * 50
    assert Signer().unsign(signed) == "text"


class MissingError(ClientError):  # type: ignore[misc] # botocore ships no types
    """The service's answer if there is no secret with the name."""


class ExistsError(ClientError):  # type: ignore[misc] # botocore ships no types
    """The service's answer if there is a secret with the name."""


class OtherCreatesFirst:
    """A client of Secrets Manager. Another process creates the secret after this one has found none.

    The secret is missing in the first ``missing`` answers, although it exists from the second one on.
    """

    exceptions = SimpleNamespace(
        ResourceNotFoundException=MissingError, ResourceExistsException=ExistsError
    )

    def __init__(self, missing: int) -> None:
        self._missing = missing

    def get_secret_value(self, **_: str) -> dict[str, str]:
        """Return the secret of the other process."""
        self._missing -= 1
        if self._missing >= 0:
            raise MissingError({}, "GetSecretValue")
        return {"SecretString": "of the other"}

    def create_secret(self, **_: str) -> None:
        """Refuse to create a second secret."""
        raise ExistsError({}, "CreateSecret")

    def put_secret_value(self, **_: str) -> None:
        """Refuse another first value."""
        raise ExistsError({}, "PutSecretValue")


@pytest.fixture
def secrets_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecretsManager:
    """A store in Secrets Manager that does not wait."""
    monkeypatch.setattr(aws_secrets, "_PAUSE_SECONDS", 0)
    return SecretsManager("headend", FileSecrets(tmp_path), region="x", endpoint_url=None)


@pytest.mark.parametrize("missing", [1, 3])
def test_the_secret_of_a_process_that_was_faster_is_used(
    secrets_manager: SecretsManager, missing: int
) -> None:
    secrets_manager._client = OtherCreatesFirst(missing)
    assert secrets_manager.get_or_make("key", lambda: "own") == "of the other"


def test_a_secret_that_exists_and_cannot_be_read_is_not_replaced(
    secrets_manager: SecretsManager,
) -> None:
    secrets_manager._client = OtherCreatesFirst(100)
    with pytest.raises(LookupError, match="headend/key exists, but it cannot be read"):
        secrets_manager.get_or_make("key", lambda: "own")
