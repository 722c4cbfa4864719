"""The container of a text file: compressed text is copied as plain text, and other containers are refused by name."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import zstandard

from readings.ingest.row_validation import BadFileError
from readings.ingest.scratch import BLOCK_BYTES, save_blocks

PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZLIB_MAGICS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_COMPRESSED = (_GZIP_MAGIC, _ZSTD_MAGIC, *_ZLIB_MAGICS)
_FIRST_BYTES = 1000
"""How much of a file decides its kind. UTF-16 without a byte order mark is known by its many zero bytes."""
_COMPRESSED_BLOCK_BYTES = 1 << 14
"""Small, because some content expands to a thousand times its size."""
_REFUSED = {
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
}
_ZIP_MAGIC = b"PK\x03\x04"
_WIDE_ENCODINGS = {
    "UTF-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"),
    "UTF-16": (b"\xff\xfe", b"\xfe\xff"),
}
"""Encodings with several bytes for each character, and the byte order marks with which a file may begin."""


def first_bytes(path: Path) -> bytes:
    """Return the bytes by which the kind of a file is known.

    Raises :class:`BadFileError` if the file cannot be opened, is empty, or is of a kind that cannot be imported.
    """
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST_BYTES)
    except OSError as error:
        raise BadFileError(f"{error.strerror}.") from None
    if not first:
        raise BadFileError("the file is empty.")
    if first.startswith(_ZIP_MAGIC):
        raise BadFileError(f"the file is {_kind_of_zip(path)}. {_ADVICE}")
    if not first.startswith((PARQUET_MAGIC, *_COMPRESSED)):
        _refuse_other_kinds(first)
    return first


def plain_text(path: Path, first: bytes, folder: Path) -> Path:
    """Return ``path`` if it is plain text, else a file in ``folder`` with the text that it contains.

    ``first`` are its :func:`first_bytes`. Raises :class:`BadFileError` if the file cannot be read to its end, or if its
    content is not text.
    """
    if not first.startswith(_COMPRESSED):
        return path
    copy = folder / "plain.txt"
    save_blocks(_blocks_if_text(_decompressed_blocks(path, first)), copy)
    return copy


def _blocks_if_text(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the blocks. Before the first one, raise :class:`BadFileError` if the content is not text.

    So content that expands to a thousand times its size, such as zeros, is refused before it fills the disk.
    """
    start = b""
    for block in blocks:
        start += block
        if len(start) < _FIRST_BYTES:
            continue
        _check_start(start[:_FIRST_BYTES])
        yield start
        yield from blocks
        return
    _check_start(start)
    yield start


def _check_start(inner: bytes) -> None:
    """Raise :class:`BadFileError` if the content of a compressed file does not begin like text."""
    if inner.startswith(PARQUET_MAGIC):
        raise BadFileError("the file is a compressed Parquet file. Decompress it first.")
    if inner.startswith(_GZIP_MAGIC):
        raise BadFileError("the file is gzip inside gzip. Decompress it once.")
    _refuse_other_kinds(inner)


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


_ADVICE = "Save the readings as CSV or Parquet."


def _refuse_other_kinds(first: bytes) -> None:
    for magic, kind in _REFUSED.items():
        if first.startswith(magic):
            raise BadFileError(f"the file is {kind}. {_ADVICE}")
    encoding = _wide_encoding(first)
    if encoding:
        raise BadFileError(f"the file is not UTF-8 text, but {encoding}. Save it as UTF-8.")
    if first.lstrip()[:1] in (b"{", b"["):
        raise BadFileError(f"the file is JSON. {_ADVICE}")


def _wide_encoding(first: bytes) -> str | None:
    """Return the encoding that the byte order mark or the zero bytes of a file show, or None if it has neither."""
    for encoding, marks in _WIDE_ENCODINGS.items():
        if first.startswith(marks):
            return encoding
    zeros = [number for number, byte in enumerate(first) if byte == 0]
    if len(zeros) > len(first) / 2:
        return "UTF-32"
    # Every second byte of an ASCII character is zero. Other characters may have no zero byte.
    is_utf16 = len(zeros) > 1 and len({number % 2 for number in zeros}) == 1
    return "UTF-16" if is_utf16 else None


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "a zip archive or an Excel workbook"
    is_workbook = any(name.startswith("xl/") for name in names)
    return "an Excel workbook" if is_workbook else "a zip archive"


def _decompressed_blocks(path: Path, first: bytes) -> Iterator[bytes]:
    try:
        with _decompressed(path, first) as source:
            while block := source.read(BLOCK_BYTES):
                yield block
    except (EOFError, zlib.error, zstandard.ZstdError, OSError) as error:
        raise BadFileError(f"the file cannot be read to its end: {error}") from None


@contextmanager
def _decompressed(path: Path, first: bytes) -> Iterator[_Readable]:
    """Open a compressed file. All its members are read, and zeros after them are skipped."""
    with path.open("rb") as file:
        if first.startswith(_GZIP_MAGIC):
            with gzip.open(file) as text:
                yield text
        elif first.startswith(_ZSTD_MAGIC):
            yield _StreamReader(file, zstandard.ZstdDecompressor().decompressobj)
        else:
            yield _StreamReader(file, zlib.decompressobj)


class _StreamReader:
    """The text of compressed streams, one after the other."""

    def __init__(self, file: IO[bytes], new_stream: Callable[[], Any]) -> None:
        self._file = file
        self._new_stream = new_stream
        self._stream = new_stream()

    def read(self, _size: int = -1, /) -> bytes:
        """Return some of the text, or nothing at the end. Raises ``EOFError`` if a stream has no end."""
        text = b""
        while not text:
            compressed = self._next_bytes()
            if not compressed:
                break
            text = self._stream.decompress(compressed)
        return text

    def _next_bytes(self) -> bytes:
        if not self._stream.eof:
            compressed = self._file.read(_COMPRESSED_BLOCK_BYTES)
            if not compressed:
                raise EOFError("it ends within its compressed content")
            return compressed
        compressed = self._stream.unused_data or self._file.read(_COMPRESSED_BLOCK_BYTES)
        if not compressed.strip(b"\0"):
            return b""
        self._stream = self._new_stream()
        return compressed
