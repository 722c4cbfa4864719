"""The push: upload a completed file to the supplier's own SFTP server.

With a temporary name, the file appears under its final name only when it is complete. Without one, it is visible during
the upload. Not every server allows folders, renaming, names with a leading dot, or queries of a file's size. The
options of the push target select what is used, and the size is verified only if the server reports it.
"""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko

from exports.delivery.audited_file import open_file
from exports.delivery.push_connection import PushClient, RefusedError, connect, printable
from exports.delivery.push_error import PushError
from exports.delivery.push_keys import private_keys
from exports.models import FileRequest, FolderLayout, PushTarget, TemporaryName
from exports.models.suppliers import NOTHING_IS_SENT

_BLOCK_BYTES = 256 * 1024
TEST_SECONDS = 20.0
"""How long a test of the connection may take. An operator waits for its page."""
_MIN_BYTES_PER_SECOND = 128 * 1024
_OVERHEAD_SECONDS = 600.0
"""A push may take this long, plus the time of its file at the slowest rate. A slower server would occupy a worker."""
_MAX_PATH_LENGTH = 120
"""A path is cut to this many characters in an error."""
_FLAT_HINT = (
    "If it allows no folders, set the target's layout to “all files directly in the folder”."
)
_DOT_HINT = "If it allows no leading dot, select another temporary name for the target."
_RENAME_HINT = "If it allows no renaming, set the target's temporary name to “none”."


def push(request: FileRequest, target: PushTarget, *, check: Callable[[], None]) -> str:
    """Upload a completed request's file and return what happened, in a sentence.

    If the file is already there, an earlier attempt uploaded it but could not record that, so it is not sent
    again. ``check`` is called after each block and every second, and raises if the lease is lost.
    Raises :class:`PushError`, ``FileMissingError`` and what ``check`` raises.
    """
    final_path = _final_path(request, target, target.layout)
    seconds = _OVERHEAD_SECONDS + (request.size or 0) / _MIN_BYTES_PER_SECOND
    with connect(target, private_keys(request.supplier), seconds=seconds, check=check) as sftp:
        problem = ""
        if target.layout == FolderLayout.PER_REQUEST:
            problem = _make_folder(sftp, posixpath.dirname(final_path))
        for path in _possible_temporary_paths(request, target):
            _remove_if_possible(sftp, path)
        if _size(sftp, final_path) == request.size:
            return "The file was already there."
        path = _temporary_path(final_path, target.temporary_name)
        if path == final_path:
            # An interrupted attempt may have left a part of the file, and not every server lets clients overwrite it.
            _remove_if_possible(sftp, path)
        try:
            _upload(sftp, request, path, check, problem)
        except PushError:
            if path == final_path:
                # Bytes may be missing in the middle of a file that has its full size. The next attempt would skip it.
                _remove_if_possible(sftp, path)
            raise
        arrived = _size(sftp, path)
        if arrived is not None and arrived != request.size:
            raise PushError(f"Only {arrived} of {request.size} bytes arrived.")
        if path != final_path:
            _rename(sftp, path, final_path)
    outcome = f"Uploaded {request.size} bytes to {final_path}."
    return (
        outcome
        if arrived is not None
        else f"{outcome} The server does not report file sizes, so the size was not verified."
    )


def test_connection(target: PushTarget) -> str:
    """Log in, list the target's folder and return what happened, in a sentence.

    Raises :class:`PushError`, also if the supplier is inactive.
    """
    if not target.supplier.active:
        raise PushError(NOTHING_IS_SENT)
    with connect(target, private_keys(target.supplier), seconds=TEST_SECONDS) as sftp:
        try:
            # Only the beginning: a list may have any number of names.
            next(sftp.listdir_iter(target.folder, read_aheads=1), None)
        except RefusedError as error:
            if error.is_missing:
                raise PushError(f"The folder {target.folder} does not exist: {error}.") from error
            # Servers that only accept files do not list them.
            return f"Logged in. The server does not list the folder {target.folder}: {error}."
    return f"Logged in, and the folder {target.folder} exists."


def _final_path(request: FileRequest, target: PushTarget, layout: str) -> str:
    folder, _, name = request.location.partition("/")
    if layout == FolderLayout.PER_REQUEST:
        return posixpath.join(target.folder, folder, name)
    # Two requests can have files of the same name.
    return posixpath.join(target.folder, f"{folder}-{name}")


def _temporary_path(final_path: str, temporary_name: str) -> str:
    folder, name = posixpath.split(final_path)
    names = {TemporaryName.HIDDEN: f".{name}.part", TemporaryName.SUFFIX: f"{name}.part"}
    return posixpath.join(folder, names.get(TemporaryName(temporary_name), name))


def _possible_temporary_paths(request: FileRequest, target: PushTarget) -> Iterator[str]:
    """Yield the temporary paths with all options: an operator may have changed them since the last attempt."""
    for layout in FolderLayout:
        for temporary_name in (TemporaryName.HIDDEN, TemporaryName.SUFFIX):
            yield _temporary_path(_final_path(request, target, layout), temporary_name)


@contextmanager
def _explained(action: str, path: str, hint: str = "") -> Iterator[None]:
    """Raise the refusal of a request as :class:`PushError`, with the server's message and a hint."""
    try:
        yield
    except RefusedError as error:
        shown = printable(path, _MAX_PATH_LENGTH)
        reason = f"{action} {shown} failed. The server says: {error}. {hint}"
        raise PushError(reason.strip()) from error


def _make_folder(sftp: PushClient, path: str) -> str:
    """Create the folder unless it exists.

    If the server does not tell whether it exists, and refuses to create it, return this problem. It explains the
    next error, if there is one. Raises :class:`PushError` if the folder is missing and cannot be created.
    """
    is_missing = False
    try:
        if stat.S_ISDIR(sftp.stat(path).st_mode or 0):
            return ""
    except RefusedError as error:
        is_missing = error.is_missing
    try:
        with _explained("Creating the folder", path, _FLAT_HINT):
            sftp.mkdir(path)
    except PushError as error:
        if is_missing:
            raise
        return str(error)
    return ""


def _size(sftp: PushClient, path: str) -> int | None:
    """Return the size of a file in bytes; None if it does not exist or the server does not tell."""
    try:
        return sftp.stat(path).st_size
    except RefusedError:
        return None


def _remove_if_possible(sftp: PushClient, path: str) -> None:
    with suppress(RefusedError):
        sftp.remove(path)


def _upload(
    sftp: PushClient, request: FileRequest, path: str, check: Callable[[], None], problem: str
) -> None:
    """Write the file to ``path``. ``problem`` is added to the error if the server does not open the file."""
    is_hidden = posixpath.basename(path).startswith(".")
    with open_file(request) as file:
        with _explained("Opening", path, problem or (_DOT_HINT if is_hidden else "")):
            remote = sftp.open(path, "wb")
        with _explained("Writing", path):
            try:
                _copy(file.read, remote, request, check)
            except RefusedError:
                # The error of the write says more than the error of the close.
                with suppress(RefusedError):
                    remote.close()
                raise
            remote.close()


def _copy(
    read: Callable[[int], bytes],
    remote: paramiko.SFTPFile,
    request: FileRequest,
    check: Callable[[], None],
) -> None:
    """Copy block by block. The last block is sent only if the checksum is right: a wrong file is never complete."""
    assert request.size is not None  # a database constraint for completed requests
    sha256, size = hashlib.sha256(), 0
    while block := read(_BLOCK_BYTES):
        sha256.update(block)
        size += len(block)
        is_last = size >= request.size
        if is_last and sha256.hexdigest() != request.sha256:
            break
        # The last write also waits for the server's answers to all writes before it.
        remote.set_pipelined(not is_last)
        remote.write(block)
        check()
    if sha256.hexdigest() != request.sha256:
        raise PushError("The stored file does not have the checksum of the published file.")


def _rename(sftp: PushClient, path: str, final_path: str) -> None:
    try:
        sftp.posix_rename(path, final_path)
    except RefusedError:
        # The server does not support OpenSSH's extension. A plain rename does not replace a file.
        _remove_if_possible(sftp, final_path)
        with _explained("Renaming to", final_path, _RENAME_HINT):
            sftp.rename(path, final_path)
