"""Responses that cannot be completed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exports.delivery.http_download import DownloadRevokedError
from tests.headend.http.server.serving import serving

pytestmark = pytest.mark.starts_processes


def test_a_download_that_is_stopped_is_one_line_in_the_log_and_a_closed_connection(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def body() -> Iterator[bytes]:
        yield b"begin"
        raise DownloadRevokedError

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "100")])
        return body()

    with serving(application) as server:
        answer = server.response_to(b"GET /file HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"begin")
    [line] = log_lines()
    assert line["message"] == "a response was not completed"
    assert "revoked" in line["error"]
    assert "exc_info" not in line
