"""Copies the export files of a deployment into another export store, before ``EXPORTS_URL`` is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Sum

from exports.models import IS_FILE_KEPT, FileRequest
from exports.stores import ExportStore, FileDamagedError, FileMissingError

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class CopiedFile:
    """The result for one file: its location, its size in bytes, whether it was copied now, or why it was not."""

    location: str
    size: int
    is_new: bool = False
    problem: str = ""


def size_of_files() -> int:
    """Return the size of all files that :func:`copy_files` copies, in bytes."""
    total = FileRequest.objects.filter(IS_FILE_KEPT).aggregate(total=Sum("size"))["total"]
    return total or 0


def copy_files(source: ExportStore, target: ExportStore) -> Iterator[CopiedFile]:
    """Copy each file that the deployment keeps, and yield the result of each. Files in ``target`` are not copied again.

    A file appears in ``target`` only if it has the checksum with which it was published. Raises the errors of a store
    that cannot be used; then the copy can be repeated.
    """
    for request in FileRequest.objects.filter(IS_FILE_KEPT).order_by("pk").iterator():
        size = request.size or 0
        try:
            is_new = not _is_there(target, request)
            if is_new:
                _copy(request, source, target)
            yield CopiedFile(request.location, size, is_new=is_new)
        except FileDamagedError as error:
            yield CopiedFile(request.location, size, problem=str(error))
        except FileMissingError:
            yield CopiedFile(request.location, size, problem="is missing in FROM")


def _is_there(target: ExportStore, request: FileRequest) -> bool:
    # A file is only visible when it is complete.
    try:
        return target.size(request.location) == request.size
    except FileMissingError:
        return False


def _copy(request: FileRequest, source: ExportStore, target: ExportStore) -> None:
    size = request.size or 0
    checksum, count = hashlib.sha256(), 0

    def check(block: bytes) -> None:
        """Cancel the join with its last block if the file is not the one that was published."""
        nonlocal count
        checksum.update(block)
        count += len(block)
        if count >= size and checksum.hexdigest() != request.sha256:
            raise FileDamagedError("has another checksum than the published file")

    try:
        with source.open(request.location, size) as file:
            part = target.put_part(f"{request.pk}/copy", iter(lambda: file.read(_BLOCK_BYTES), b""))
        if part.size != size:
            raise FileDamagedError(f"has {part.size} bytes instead of {size}")
        target.join(request.location, [part], attempt="copy", on_block=check)
    finally:
        target.delete_unfinished(request.pk)
