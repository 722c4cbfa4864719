"""One call of the HTTP interface: its statement, parameters, settings, credentials and external tables."""

from __future__ import annotations

import gzip
import uuid
import zlib
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

import lz4.frame
import zstandard

from tests.clickhouse_local.errors import ClickHouseError, not_supported

_PARAMETER = "param_"
_NOT_SETTINGS = {
    "query", "database", "user", "password", "quota_key", "query_id", "default_format", "role", "stacktrace",
    "wait_end_of_query", "buffer_size", "client_protocol_version", "enable_http_compression",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "session_id",
}  # fmt: skip
"""Parameters of the URL that are not settings of the query. Every response is sent when the query has ended."""
_UNSUPPORTED = ("session_id", "compress", "decompress")
_TABLE_PARTS = ("format", "structure", "types")
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
}
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstandard.ZstdCompressor(level=1).compress,
    "lz4": lz4.frame.compress,
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": lambda data: zlib.compress(data, 1),
}


@dataclass(frozen=True)
class ExternalTable:
    """A table that a call sends with its query. ``structure`` is the column list of ``CREATE TABLE``."""

    name: str
    structure: str
    format: str
    content: bytes


@dataclass(frozen=True)
class Call:
    """A decoded call. ``statement`` is followed by ``data``, which is the input of an INSERT."""

    statement: str
    data: bytes
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    database: str
    user: str
    password: str
    query_id: str
    format: str
    encoding: str | None
    tables: tuple[ExternalTable, ...] = field(default=())


def decode(method: str, query: str, headers: Message, body: bytes) -> Call:
    """Return the call. Raises :class:`ClickHouseError` for what this server does not support."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name in _UNSUPPORTED:
        if given.get(name):
            raise not_supported(name)
    body = _decoded(headers.get("Content-Encoding"), body)
    files: dict[str, bytes] = {}
    content_type = headers.get("Content-Type", "")
    if content_type.startswith("multipart/form-data"):
        fields, files = _form(content_type, body)
        given |= fields
        body = b""
    statement, data = _split(given.get("query", ""), body)
    settings = {
        name: value
        for name, value in given.items()
        if name not in _NOT_SETTINGS
        and not name.startswith(_PARAMETER)
        and not _is_part_of_table(name, files)
    }
    if method == "GET":
        # On a server, GET can only read.
        settings.setdefault("readonly", "2")
    user, password = _credentials(headers, given)
    return Call(
        statement=statement,
        data=data,
        parameters={
            name.removeprefix(_PARAMETER): value
            for name, value in given.items()
            if name.startswith(_PARAMETER)
        },
        settings=settings,
        database=given.get("database") or headers.get("X-ClickHouse-Database") or "default",
        user=user,
        password=password,
        query_id=given.get("query_id") or str(uuid.uuid4()),
        format=given.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        encoding=_response_encoding(headers, given),
        tables=tuple(_external_table(name, content, given) for name, content in files.items()),
    )


def _decoded(encoding: str | None, body: bytes) -> bytes:
    if encoding is None:
        return body
    if encoding not in DECODERS:
        raise not_supported(f"the encoding {encoding}")
    return DECODERS[encoding](body)


def _split(query: str, body: bytes) -> tuple[str, bytes]:
    """Return the statement and the data of an INSERT, which may follow the statement in the body."""
    if query:
        return query, body
    if body[:7].strip().upper().startswith(b"INSERT"):
        head, newline, data = body.partition(b"\n")
        if newline:
            return head.decode(), data
    return body.decode(), b""


def _credentials(headers: Message, given: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        user, _, password = b64decode(value).decode().partition(":")
        return user, password
    return (
        given.get("user") or headers.get("X-ClickHouse-User") or "default",
        given.get("password") or headers.get("X-ClickHouse-Key") or "",
    )


def _response_encoding(headers: Message, given: Mapping[str, str]) -> str | None:
    """Return the first encoding that the client accepts. A server compresses only if a setting asks for it."""
    if given.get("enable_http_compression") != "1":
        return None
    accepted = headers.get("Accept-Encoding", "").replace(" ", "").split(",")
    return next((name for name in accepted if name in ENCODERS), None)


def _form(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the fields and the files of a form, by name."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = bytes(part.get_payload(decode=True))
        if part.get_filename() is None:
            fields[name] = content.decode()
        else:
            files[name] = content
    return fields, files


def _is_part_of_table(name: str, files: Mapping[str, bytes]) -> bool:
    table, _, part = name.rpartition("_")
    return table in files and part in _TABLE_PARTS


def _external_table(name: str, content: bytes, given: Mapping[str, str]) -> ExternalTable:
    structure = given.get(f"{name}_structure")
    if structure is None:
        raise not_supported("external tables without a structure")
    if not name.isidentifier():
        raise ClickHouseError(36, "BAD_ARGUMENTS", f"{name} is not a name of a table.")
    return ExternalTable(name, structure, given.get(f"{name}_format", "TabSeparated"), content)
