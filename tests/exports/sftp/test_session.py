"""The SFTP session's answers to errors of the disk."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import paramiko
import pytest
from paramiko.sftp import SFTP_FAILURE

from exports.sftp.session import Session


@pytest.mark.django_db
def test_a_file_that_the_disk_refuses_to_read_is_a_failure_and_one_line_in_the_log(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    session = cast("Any", Session.__new__(Session))
    session._filesystem = SimpleNamespace(open=refuse)
    session._auth = SimpleNamespace(fetcher=None)
    assert session.open("/folder/file.gz", 0, paramiko.SFTPAttributes()) == SFTP_FAILURE
    [line] = [line for line in log_lines() if line["level"] == "ERROR"]
    assert line["error"] == "[Errno 13] Permission denied"
    assert "exc_info" not in line
