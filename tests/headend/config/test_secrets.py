"""The secrets store on disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from headend.config.secrets import FileSecrets


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    """An empty store."""
    return FileSecrets(tmp_path)


def test_a_secret_is_made_once_and_kept(secrets: FileSecrets) -> None:
    assert secrets.get("headend/api_key") is None
    assert secrets.get_or_make("headend/api_key", lambda: "first") == "first"
    assert secrets.get_or_make("headend/api_key", lambda: "second") == "first"
    secrets.put("headend/api_key", "third")
    assert secrets.get("headend/api_key") == "third"


def test_nobody_else_can_read_it(secrets: FileSecrets) -> None:
    secrets.put("headend/sftp/private_key", "secret")
    path = secrets.path("headend/sftp/private_key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_of_many_makers_at_once_one_wins_for_all(secrets: FileSecrets) -> None:
    numbers = count()
    with ThreadPoolExecutor(8) as makers:
        made = makers.map(lambda _: secrets.get_or_make("a", lambda: str(next(numbers))), range(50))
    assert len(set(made)) == 1
    assert [path.name for path in secrets.root.iterdir()] == ["a"]


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../b", "", "a//b", ".hidden", "a\x00", "A"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(secrets: FileSecrets, name: str) -> None:
    with pytest.raises(ValueError, match="not a secret's name"):
        secrets.get(name)
