"""A connection that has ended counts until all its threads have ended. Then nothing of it remains."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import paramiko
import pytest
from paramiko.sftp import CMD_FSTAT

from exports.models import FileFetch, FileRequest, SshKey
from exports.sftp import authentication, server
from exports.sftp.protocol import LimitedSFTPServer
from exports.sftp.server import Listener
from exports.sftp.session import OpenFile
from headend.config.limited_log import LimitedLog
from tests.exports.conftest import running_listener, wait_until

Key = tuple[SshKey, paramiko.PKey]
LogLines = Callable[[], list[dict[str, Any]]]
TIMEOUT = 30


class Gate:
    """A place where a thread of the server hangs until the gate is opened."""

    def __init__(self) -> None:
        self.is_reached, self._is_open = threading.Event(), threading.Event()

    def wait(self, *_: object) -> None:
        self.is_reached.set()
        assert self._is_open.wait(TIMEOUT)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Wait until a thread hangs. Open the gate at the end of the block."""
        try:
            assert self.is_reached.wait(TIMEOUT)
            yield
        finally:
            self._is_open.set()


@pytest.fixture
def listener(
    transactional_db: None, starts_processes: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Listener]:
    """A running SFTP server, which logs at once that threads of a closed connection still run."""
    monkeypatch.setattr(server, "SLOW_END_SECONDS", 0)
    monkeypatch.setattr(server, "slow_end_log", LimitedLog(server.log, seconds=0))
    with running_listener() as running:
        yield running


def cut_and_wait(listener: Listener, log_lines: LogLines) -> None:
    """Cut the only connection, and wait until the server only waits for its threads."""
    [connection] = listener._connections._open
    connection.cut()
    message = "threads of a closed connection still run"
    wait_until(lambda: message in [line["message"] for line in log_lines()])


def counted(listener: Listener, supplier_id: int) -> dict[str, int]:
    """Return how many connections, sessions and handles count, and how many count as the supplier's."""
    quotas = listener._quotas
    return {
        "open": len(listener._connections._open),
        "connections": quotas.connections.taken(supplier_id),
        "sessions": quotas.sessions.taken(supplier_id),
        "handles": quotas.handles.taken(supplier_id),
    }


def test_a_session_that_hangs_counts_with_its_connection_and_its_handles(
    listener: Listener,
    alices_key: Key,
    completed: FileRequest,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: LogLines,
) -> None:
    gate = Gate()
    monkeypatch.setattr(OpenFile, "stat", gate.wait)
    with paramiko.Transport(("127.0.0.1", listener.port)) as client:
        client.connect(username="alice", pkey=alices_key[1])
        sftp = cast("Any", client.open_sftp_client())
        file = sftp.open(completed.location)
        sftp._async_request(type(None), CMD_FSTAT, file.handle)
        with gate.closed():
            cut_and_wait(listener, log_lines)
            everything = {"open": 1, "connections": 1, "sessions": 1, "handles": 1}
            assert counted(listener, completed.supplier_id) == everything
        wait_until(lambda: not listener._connections._open)
    nothing = {"open": 0, "connections": 0, "sessions": 0, "handles": 0}
    assert counted(listener, completed.supplier_id) == nothing
    assert FileFetch.objects.filter(request=completed).count() == 1


def test_a_login_that_hangs_counts_and_leaves_nothing_behind(
    listener: Listener, alices_key: Key, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines
) -> None:
    gate, find_key = Gate(), authentication.find_key

    def find_key_slowly(user: str, key: paramiko.PKey) -> SshKey | None:
        gate.wait()
        return find_key(user, key)

    monkeypatch.setattr(authentication, "find_key", find_key_slowly)
    with paramiko.Transport(("127.0.0.1", listener.port)) as client:
        client.start_client(timeout=TIMEOUT)
        client.auth_publickey("alice", alices_key[1], threading.Event())
        supplier_id = alices_key[0].supplier_id
        with gate.closed():
            cut_and_wait(listener, log_lines)
            assert counted(listener, supplier_id)["open"] == 1
        wait_until(lambda: not listener._connections._open)
    assert counted(listener, supplier_id)["connections"] == 0


def test_slow_threads_are_logged_after_five_seconds_in_total_and_other_lines_do_not_suppress_it(
    monkeypatch: pytest.MonkeyPatch, log_lines: LogLines
) -> None:
    now, waits = 100.0, list[float | None]()
    monkeypatch.setattr("exports.sftp.server.time.monotonic", lambda: now)
    monkeypatch.setattr(server, "limited_log", LimitedLog(server.log))
    monkeypatch.setattr(server, "slow_end_log", LimitedLog(server.log))

    def end_slowly(seconds: float | None) -> bool:
        nonlocal now
        waits.append(seconds)
        now += 4.5
        return True

    def close_sessions(seconds: float | None) -> bool:
        waits.append(seconds)
        return seconds is None

    transport: Any = SimpleNamespace(wait_until_ended=end_slowly)
    auth: Any = SimpleNamespace(
        address="192.0.2.1", sessions=SimpleNamespace(connection_closed=close_sessions)
    )
    server.limited_log.warning("a connection ended")
    server._wait_for_threads(transport, auth)
    assert waits == [5, 0.5, None, None]
    assert [line["message"] for line in log_lines()] == [
        "a connection ended",
        "threads of a closed connection still run",
    ]


class LostChannel:
    """A channel whose connection is lost, which paramiko has not noticed yet."""

    closed = False

    def send_exit_status(self, status: int) -> None:
        raise EOFError

    def close(self) -> None:
        raise EOFError

    def get_id(self) -> int:
        return 7


def test_all_handles_are_closed_although_the_connection_is_lost_and_one_of_them_fails(
    log_lines: LogLines,
) -> None:
    done: list[object] = []

    def fail() -> None:
        raise OSError(5, "Input/output error")

    session = cast("Any", LimitedSFTPServer.__new__(LimitedSFTPServer))
    session._channel = session._SubsystemHandler__channel = LostChannel()
    session.file_table = {
        b"1": SimpleNamespace(close=fail),
        b"2": SimpleNamespace(close=lambda: done.append("file")),
    }
    session.folder_table = {b"3": SimpleNamespace(close=lambda: done.append("folder"))}
    session.server = SimpleNamespace(
        session_ended=lambda: None,
        release_handle=lambda: done.append("released"),
        closed=done.append,
    )
    session.finish_subsystem()
    assert done == ["released", "file", "released", "folder", "released", 7]
    assert [line["message"] for line in log_lines()] == ["a handle was not closed"]
