"""The secrets store: small texts by name, kept where ``SECRETS_URL`` says.

Names are paths such as ``headend/sftp/private_key``, so that the same names
serve AWS Secrets Manager (:mod:`headend.config.aws_secrets`).
"""

from __future__ import annotations

import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)*")


class Secrets(ABC):
    """Where keys and passwords are kept."""

    @abstractmethod
    def get(self, name: str) -> str | None:
        """The secret, or None when there is none of that name."""

    @abstractmethod
    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """The secret; made by ``make`` when missing. Of two processes that make it at once, one wins for both."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """A file of mode 0600 that holds the secret. Raises ``ValueError`` for a name that could lead elsewhere."""


class FileSecrets(Secrets):
    """Secrets as files of mode 0600 below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """See :meth:`Secrets.path`."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a secret's name.")
        return self.root / name

    def get(self, name: str) -> str | None:
        """See :meth:`Secrets.get`."""
        try:
            return self.path(name).read_text()
        except FileNotFoundError:
            return None

    def put(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``; what stood there is replaced whole."""
        self._written_aside(name, value).replace(self.path(name))

    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """See :meth:`Secrets.get_or_make`."""
        kept = self.get(name)
        if kept is not None:
            return kept
        aside = self._written_aside(name, make())
        try:
            # A hard link fails where the name exists already: the first maker's value stands.
            os.link(aside, self.path(name))
        except FileExistsError:
            pass
        finally:
            aside.unlink()
        return self.path(name).read_text()

    def _written_aside(self, name: str, value: str) -> Path:
        target = self.path(name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp opens with mode 0600, so the secret is never readable by others, not even briefly.
        handle, aside = tempfile.mkstemp(dir=target.parent, prefix=".")
        with os.fdopen(handle, "w") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        return Path(aside)
