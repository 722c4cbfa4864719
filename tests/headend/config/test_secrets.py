"""The secrets store in a folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import Signer
from pytest_django.fixtures import Settings

from headend.config.folders import Folder
from headend.config.secrets import FileSecrets, loaded_on_first_use


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
