"""The folder of a Delta table: create, inspect and delete it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from readings.repositories.delta.commit_log import LOG
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.open_table import OpenTable
from readings.repositories.store import NotOnlyReadingsError, Store
from readings.repository_errors import RepositoryUnavailableError

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
OUR_FILE = re.compile(
    rf"{LOG}/.+|_setup/conditional-put-{_UUID}"
    r"|day=\d{4}-\d\d-\d\d/part-[^/]+\.parquet"
    rf"|_statistics/(?:part-[^/]+\.json|\.{_UUID})"
    rf"|_meters/(?:\d{{4}}-\d\d-\d\d-[0-9a-f]{{32}}(?:\.json|-\d+\.parquet)|\.{_UUID})"
    rf"|_(?:minutes|hours|days)/(?:\d{{4}}-\d\d-\d\d-[0-9a-f]{{32}}\.parquet|\.{_UUID})",
    re.ASCII,
)
"""The files that the repository, and earlier releases of it, write below the folder."""
OUR_FOLDER = re.compile(
    rf"{LOG}(?:/.+)?|_setup|day=\d{{4}}-\d\d-\d\d|_statistics|_minutes|_hours|_days|_meters",
    re.ASCII,
)
_MAX_NAMES = 3


class DeltaStore(Store):
    """The store of ``READINGS_URL=delta:///folder``."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)
        self.name = path
        self.identity = f"delta {self._root.resolve()}"

    def is_same_place(self, other: Store) -> bool:
        """See :meth:`Store.is_same_place`. A folder may be mounted twice."""
        if self.identity == other.identity:
            return True
        with suppress(OSError):
            return isinstance(other, DeltaStore) and self._root.samefile(other._root)
        return False

    def exists(self) -> bool:
        """See :meth:`Store.exists`."""
        with _disk_errors():
            return (self._root / LOG).is_dir()

    def create(self) -> list[str]:
        """See :meth:`Store.create`. The parent folder must exist."""
        if self.exists():
            return [f"table {self.name}: exists already"]
        OpenTable(DiskFolder(self._root), creates=True).newest()
        return [f"table {self.name}: created"]

    def size(self) -> int:
        """See :meth:`Store.size`. Old versions count too, until maintenance deletes them."""
        with _disk_errors():
            return sum(
                (self._root / name).lstat().st_size
                for name, is_folder in self._contents()
                if not is_folder and OUR_FILE.fullmatch(name)
            )

    def destroy(self) -> list[str]:
        """See :meth:`Store.destroy`. The log is deleted first, so no reader finds a table without its files."""
        with _disk_errors():
            contents = [*self._contents()]
            self._refuse_other_files(contents)
            ours = {name.partition("/")[0] for name, _ in contents}
            for name in sorted(ours, key=_log_first):
                shutil.rmtree(self._root / name)
        # A folder that is a mount point or a symbolic link stays.
        with suppress(OSError):
            self._root.rmdir()
        return [f"table {self.name}: {'deleted' if ours else 'does not exist'}"]

    def _refuse_other_files(self, contents: list[tuple[str, bool]]) -> None:
        others = [
            name
            for name, is_folder in contents
            if not (OUR_FOLDER if is_folder else OUR_FILE).fullmatch(name)
        ]
        refuse_other_files(self.name, others, "Move them to another folder first.")

    def _contents(self) -> Iterator[tuple[str, bool]]:
        """Yield each path below the folder, and whether it is a folder. A symbolic link counts as a file."""
        for parent, folders, files in os.walk(self._root, onerror=_raise_unless_missing):
            place = Path(parent)
            for name in (*folders, *files):
                path = place / name
                is_folder = path.is_dir() and not path.is_symlink()
                yield path.relative_to(self._root).as_posix(), is_folder


def refuse_other_files(store: str, others: list[str], remedy: str) -> None:
    """Raise :class:`NotOnlyReadingsError` if there are ``others``: names of files that no repository wrote."""
    if others:
        more = f" and {len(others) - _MAX_NAMES} more" if len(others) > _MAX_NAMES else ""
        raise NotOnlyReadingsError(
            f"{store} holds other files: {', '.join(sorted(others)[:_MAX_NAMES])}{more}. "
            f"{remedy} Nothing was deleted."
        )


def _log_first(name: str) -> tuple[bool, str]:
    return name != LOG, name


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RepositoryUnavailableError(f"{error.filename}: {error.strerror}.") from error
