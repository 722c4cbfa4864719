"""Read, change and write the metadata at the end of a Parquet file, so that independent row groups form one file.

The metadata is in Thrift's compact protocol. It is read without a schema: a struct is a dictionary
of its fields by number, each with its Thrift type. Fields that this module does not know are kept
unchanged. The field numbers are those of parquet.thrift (apache/parquet-format).
"""

from __future__ import annotations

import struct
from typing import Any

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

MAGIC = b"PAR1"
Struct = dict[int, tuple[int, Any]]
"""A Thrift struct: field number to type and value. The value of a list is its element type and the elements."""

_NUM_ROWS, _ROW_GROUPS = 3, 4
_GROUP_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 3, 5, 7
_CHUNK_OFFSET, _CHUNK_META = 2, 3
_PAGE_INDEX = (4, 5, 6, 7)  # offset and length of a chunk's offset index, and of its column index
_PAGE_INDEX_OFFSETS = (4, 6)
_META_OFFSETS = (9, 10, 11, 14)  # of data pages, index pages, the dictionary, the Bloom filter


def split_file(file: bytes) -> tuple[bytes, Struct]:
    """Split a Parquet file and return its pages, without the magic number before them, and its metadata."""
    [length] = struct.unpack("<I", file[-8:-4])
    end = len(file) - 8 - length
    metadata = parse(file[end:-8])
    page_indexes = [
        chunk[number][1]
        for group in row_groups(metadata)
        for chunk in group[_GROUP_COLUMNS][1][1]
        for number in _PAGE_INDEX_OFFSETS
        if number in chunk
    ]
    return file[len(MAGIC) : min([end, *page_indexes])], metadata


def parse(content: bytes) -> Struct:
    """Return the struct that ``content`` contains in Thrift's compact protocol."""
    return _read_struct(TCompactProtocol(TMemoryBuffer(content)))


def serialize(fields: Struct) -> bytes:
    """Return the bytes of a struct in Thrift's compact protocol."""
    buffer = TMemoryBuffer()
    _write_struct(TCompactProtocol(buffer), fields)
    content: bytes = buffer.getvalue()
    return content


def row_groups(metadata: Struct) -> list[Struct]:
    """Return the metadata of a file's row groups."""
    groups: list[Struct] = metadata[_ROW_GROUPS][1][1]
    return groups


def shift_offsets(group: Struct, by: int) -> Struct:
    """Return a row group's metadata with its page offsets increased by ``by``, and without page indexes.

    A page index contains offsets from the file's start, so it cannot be moved without a change. Its
    statistics add little to those of the row group. The ordinal is removed too: it is optional, and
    its type, i16, is too small.
    """
    kind, chunks = group[_GROUP_COLUMNS][1]
    columns = [
        _add_to(_without(chunk, _PAGE_INDEX), (_CHUNK_OFFSET,), by)
        | {_CHUNK_META: (TType.STRUCT, _add_to(chunk[_CHUNK_META][1], _META_OFFSETS, by))}
        for chunk in chunks
    ]
    return _add_to(_without(group, (_GROUP_ORDINAL,)), (_GROUP_OFFSET,), by) | {
        _GROUP_COLUMNS: (TType.LIST, (kind, columns))
    }


def file_end(metadata: Struct, groups: list[Struct]) -> bytes:
    """Return the last bytes of a file with these row groups; the rest of its metadata is ``metadata``."""
    complete = metadata | {
        _NUM_ROWS: (TType.I64, sum(group[_GROUP_ROWS][1] for group in groups)),
        _ROW_GROUPS: (TType.LIST, (TType.STRUCT, groups)),
    }
    content = serialize(complete)
    return content + struct.pack("<I", len(content)) + MAGIC


def _without(fields: Struct, numbers: tuple[int, ...]) -> Struct:
    return {number: field for number, field in fields.items() if number not in numbers}


def _add_to(fields: Struct, numbers: tuple[int, ...], by: int) -> Struct:
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
    return getattr(source, f"read{_PRIMITIVES[kind]}")()


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
        for item in elements:
            _write(target, element, item)
        target.writeListEnd()
    else:
        getattr(target, f"write{_PRIMITIVES[kind]}")(value)


_PRIMITIVES = {
    TType.BOOL: "Bool",
    TType.BYTE: "Byte",
    TType.I16: "I16",
    TType.I32: "I32",
    TType.I64: "I64",
    TType.DOUBLE: "Double",
    TType.STRING: "Binary",
}
