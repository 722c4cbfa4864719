"""A Parquet file's footer, read, moved and written again, so that row groups made apart share one file.

Thrift's compact protocol, read without a schema: a struct is its fields by number, each with its
type, and what is not known here goes through as it is. Numbers are those of parquet.thrift
(apache/parquet-format).
"""

from __future__ import annotations

import struct
from typing import Any

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

MAGIC = b"PAR1"
Struct = dict[int, tuple[int, Any]]
"""Fields by number: Thrift's type and the value. A list's value is its elements' type and the elements."""

_NUM_ROWS, _ROW_GROUPS = 3, 4
_GROUP_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 3, 5, 7
_CHUNK_OFFSET, _CHUNK_META = 2, 3
_PAGE_INDEX = (4, 5, 6, 7)  # offset and length of a chunk's offset index, and of its column index
_PAGE_INDEX_OFFSETS = (4, 6)
_META_OFFSETS = (9, 10, 11, 14)  # of data pages, index pages, the dictionary, the Bloom filter


def split(file: bytes) -> tuple[bytes, Struct]:
    """A file's pages, from behind its opening magic on, and its footer."""
    [length] = struct.unpack("<I", file[-8:-4])
    end = len(file) - 8 - length
    footer = parsed(file[end:-8])
    page_indexes = [
        chunk[number][1]
        for group in row_groups(footer)
        for chunk in group[_GROUP_COLUMNS][1][1]
        for number in _PAGE_INDEX_OFFSETS
        if number in chunk
    ]
    return file[len(MAGIC) : min([end, *page_indexes])], footer


def parsed(content: bytes) -> Struct:
    """The struct that ``content`` holds."""
    return _read_struct(TCompactProtocol(TMemoryBuffer(content)))


def written(fields: Struct) -> bytes:
    """The struct's bytes."""
    buffer = TMemoryBuffer()
    _write_struct(TCompactProtocol(buffer), fields)
    content: bytes = buffer.getvalue()
    return content


def row_groups(footer: Struct) -> list[Struct]:
    """The file's row groups."""
    groups: list[Struct] = footer[_ROW_GROUPS][1][1]
    return groups


def moved(group: Struct, by: int) -> Struct:
    """The row group as it reads when its pages lie ``by`` further on; without page indexes."""
    # A page index holds offsets from the file's beginning, so it cannot be moved as it is, and its
    # statistics tell little that the row group's do not. An ordinal is an i16: too small, and optional.
    kind, chunks = group[_GROUP_COLUMNS][1]
    columns = [
        _shifted(_without(chunk, _PAGE_INDEX), (_CHUNK_OFFSET,), by)
        | {_CHUNK_META: (TType.STRUCT, _shifted(chunk[_CHUNK_META][1], _META_OFFSETS, by))}
        for chunk in chunks
    ]
    return _shifted(_without(group, (_GROUP_ORDINAL,)), (_GROUP_OFFSET,), by) | {
        _GROUP_COLUMNS: (TType.LIST, (kind, columns))
    }


def tail(footer: Struct, groups: list[Struct]) -> bytes:
    """What a file of ``groups`` ends with; all else about it as ``footer`` has it."""
    whole = footer | {
        _NUM_ROWS: (TType.I64, sum(group[_GROUP_ROWS][1] for group in groups)),
        _ROW_GROUPS: (TType.LIST, (TType.STRUCT, groups)),
    }
    content = written(whole)
    return content + struct.pack("<I", len(content)) + MAGIC


def _without(fields: Struct, numbers: tuple[int, ...]) -> Struct:
    return {number: field for number, field in fields.items() if number not in numbers}


def _shifted(fields: Struct, numbers: tuple[int, ...], by: int) -> Struct:
    return fields | {
        number: (fields[number][0], fields[number][1] + by)
        for number in numbers
        if number in fields
    }


def _read_struct(source: Any) -> Struct:
    fields: Struct = {}
    source.readStructBegin()
    while True:
        _, kind, number = source.readFieldBegin()
        if kind == TType.STOP:
            break
        fields[number] = (kind, _read(source, kind))
        source.readFieldEnd()
    source.readStructEnd()
    return fields


def _read(source: Any, kind: int) -> Any:
    if kind == TType.STRUCT:
        return _read_struct(source)
    if kind == TType.LIST:
        element, length = source.readListBegin()
        elements = [_read(source, element) for _ in range(length)]
        source.readListEnd()
        return element, elements
    return getattr(source, f"read{_PLAIN[kind]}")()


def _write_struct(target: Any, fields: Struct) -> None:
    target.writeStructBegin("")
    for number, (kind, value) in sorted(fields.items()):
        target.writeFieldBegin("", kind, number)
        _write(target, kind, value)
        target.writeFieldEnd()
    target.writeFieldStop()
    target.writeStructEnd()


def _write(target: Any, kind: int, value: Any) -> None:
    if kind == TType.STRUCT:
        _write_struct(target, value)
    elif kind == TType.LIST:
        element, elements = value
        target.writeListBegin(element, len(elements))
        for each in elements:
            _write(target, element, each)
        target.writeListEnd()
    else:
        getattr(target, f"write{_PLAIN[kind]}")(value)


_PLAIN = {
    TType.BOOL: "Bool",
    TType.BYTE: "Byte",
    TType.I16: "I16",
    TType.I32: "I32",
    TType.I64: "I64",
    TType.DOUBLE: "Double",
    TType.STRING: "Binary",
}
