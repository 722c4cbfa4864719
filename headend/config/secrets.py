"""The secrets store: short texts by name, stored where ``SECRETS_URL`` says.

A name is a path such as ``headend/sftp/private_key``. The same names work in AWS Secrets Manager
(:mod:`headend.config.aws_secrets`). Creating a store object reads and writes nothing.
"""

from __future__ import annotations

import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from headend.config.folders import Folder, create_folders

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)*")


class Secrets(ABC):
    """A store of keys and passwords."""

    @abstractmethod
    def get(self, name: str) -> str | None:
        """Return the secret, or None if there is no secret with this name."""

    @abstractmethod
    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """Return the secret; if it is missing, store and return the result of ``make``.

        If several processes create the same secret at once, all of them return the same value.
        """

    @abstractmethod
    def put(self, name: str, value: str) -> None:
        """Store ``value`` under ``name``. An existing secret is replaced."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """Return the path of a file with mode 0600 that contains the secret.

        Raises ``ValueError`` for a name that could lead out of the store.
        """


class FileSecrets(Secrets):
    """Secrets as files with mode 0600 below one folder.

    Args:
        root: The folder of the secrets.
        folders: Created in this order, if they are missing, before a secret is written.
    """

    def __init__(self, root: Path, folders: Sequence[Folder] = ()) -> None:
        self.root = root
        self._folders = folders

    def path(self, name: str) -> Path:
        """See :meth:`Secrets.path`. The file exists only if the secret does."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid name of a secret.")
        return self.root / name

    def get(self, name: str) -> str | None:
        """See :meth:`Secrets.get`."""
        try:
            return self.path(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def put(self, name: str, value: str) -> None:
        """See :meth:`Secrets.put`. The file is replaced atomically."""
        self._write_temporary(name, value).replace(self.path(name))

    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """See :meth:`Secrets.get_or_make`."""
        stored = self.get(name)
        if stored is not None:
            return stored
        temporary = self._write_temporary(name, make())
        try:
            # A hard link fails if the name exists: the value of the first process is used.
            os.link(temporary, self.path(name))
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return self.path(name).read_text(encoding="utf-8")

    def _write_temporary(self, name: str, value: str) -> Path:
        target = self.path(name)
        create_folders(self._folders)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp creates the file with mode 0600, so other users can never read the secret.
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        return Path(temporary)
