"""Requests are read strictly: what is too large, unclear or not supported is refused with a JSON error."""

from __future__ import annotations

import json

import pytest
from waitress.adjustments import Adjustments

from headend.http.server.request_parser import MAX_HEADER_BYTES, RequestParser

BODY_LIMIT = 4096
LARGE = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\nExpect: 100-continue\r\n\r\n"


def parsed(*pieces: bytes) -> RequestParser:
    """Return the parser after it has received the pieces, or those up to the end of the request."""
    parser = RequestParser(
        Adjustments(max_request_header_size=MAX_HEADER_BYTES, max_request_body_size=BODY_LIMIT + 1)
    )
    for piece in pieces:
        left = piece
        while left and not parser.completed:
            left = left[parser.received(left) :]
    return parser


def refusal(*pieces: bytes) -> tuple[int, str]:
    """Return status and sentence of the refusal of a request."""
    parser = parsed(*pieces)
    assert parser.completed
    assert parser.error is not None
    status, _, body = parser.error.to_response()
    return int(status.split()[0]), json.loads(body)["error"]


def fields(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST /readings/query HTTP/1.1", b"Host: a", *lines, b"", b""])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET readings HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n",
        fields(b"Bad Name: x"),
        fields(b"Content-Length: -1"),
        fields(b"Content-Length: 5, 5"),
        fields(b"Content-Length: " + b"9" * 5000),
        # A proxy could find another end of these requests.
        fields(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        fields(b"Transfer-Encoding : chunked"),
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        fields(b"Transfer-Encoding: chunked") + b"nonsense\r\n",
        fields(b"Transfer-Encoding: chunked") + b"1\r\nabc\r\n",
    ],
)
def test_what_is_not_valid_http_is_a_400(request_bytes: bytes) -> None:
    assert refusal(request_bytes) == (400, "This is not a valid HTTP request.")


@pytest.mark.parametrize("coding", [b"strange", b"gzip, chunked", b"chunked, identity"])
def test_an_unknown_transfer_coding_is_a_400(coding: bytes) -> None:
    refused = refusal(fields(b"Transfer-Encoding: " + coding))
    assert refused == (400, "This Transfer-Encoding is not supported.")


@pytest.mark.parametrize("pieces", [1, 2, 100])
def test_a_url_that_is_too_long_is_a_414(pieces: int) -> None:
    received = b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n"
    size = len(received) // pieces
    refused = refusal(*(received[i : i + size] for i in range(0, len(received), size)))
    assert refused == (414, "The URL is longer than 8190 bytes.")


def test_headers_that_are_too_large_or_too_many_are_a_431() -> None:
    expected = (431, "The headers are too large.")
    assert refusal(fields(b"A: " + b"x" * MAX_HEADER_BYTES)) == expected
    assert refusal(fields(*[b"A: b"] * 100)) == expected
    assert parsed(fields(*[b"A: b"] * 99)).error is None


def test_an_unknown_expectation_is_a_417() -> None:
    assert refusal(fields(b"Expect: cookies")) == (417, "This Expect header is not supported.")


def test_a_body_that_is_too_large_is_a_413_before_it_arrives() -> None:
    assert refusal(LARGE) == (413, "The body is larger than 4 KiB.")
    assert not parsed(LARGE).expect_continue
    allowed = parsed(fields(b"Content-Length: 4096"), b"x" * 4096)
    assert allowed.completed
    assert allowed.error is None


def test_a_chunked_body_is_measured_without_the_lines_between_its_chunks() -> None:
    start = fields(b"Transfer-Encoding: chunked")
    chunks = [b"2\r\nxx\r\n"] * (BODY_LIMIT // 2)
    allowed = parsed(start, *chunks, b"0\r\n\r\n")
    assert allowed.error is None
    assert allowed.headers["CONTENT_LENGTH"] == str(BODY_LIMIT)
    assert allowed.get_body_stream().read() == b"x" * BODY_LIMIT
    assert refusal(start, *chunks, b"1\r\nx\r\n", b"0\r\n\r\n")[0] == 413


def test_a_body_in_tiny_chunks_is_refused_before_its_parsing_takes_seconds() -> None:
    start = fields(b"Transfer-Encoding: chunked")
    tiny = b"1;%b\r\nx\r\n" % (b"e" * 60) * 100
    assert parsed(start, *[tiny] * 9).error is None
    assert refusal(start, *[tiny] * 12)[0] == 400


def test_a_chunk_line_or_trailer_without_end_is_refused_before_it_fills_the_memory() -> None:
    start = fields(b"Transfer-Encoding: chunked")
    assert refusal(start, *[b"1" * 100] * 50)[0] == 400
    assert refusal(start, b"0\r\n", *[b"A: b\r\n" * 20] * 50)[0] == 400
