"""Attacks on the SFTP server, with and without a key."""

from __future__ import annotations

import struct
import time
from contextlib import ExitStack, suppress
from typing import Any

import paramiko
from paramiko.sftp import CMD_EXTENDED, CMD_EXTENDED_REPLY, CMD_STATUS, SFTP_OK, int64

from tests.attack.attack import Outcome, Scale
from tests.attack.target import Target

_ERRORS = (OSError, EOFError, paramiko.SSHException)
MAX_CONNECTIONS, MAX_SESSIONS, MAX_HANDLES = 50, 10, 100
"""Of one supplier, of one connection and of one supplier: the defaults of the deployment."""
_ANSWER_SECONDS = 20.0
_FREE, _FREE_SECONDS = "free again when the connections had ended", 60.0
_PACKET_BYTES = 32 * 2**20
"""More than the buffers of both sockets hold."""


def strangers_at_the_sftp_server(target: Target, scale: Scale, outcome: Outcome) -> None:
    """500 sockets of strangers to the SFTP server."""
    opened = 0
    with ExitStack() as stack:
        for _ in range(scale.strangers):
            with suppress(OSError):
                stack.enter_context(target.sftp_socket())
                opened += 1
        time.sleep(scale.seconds)
    outcome.lines.append(f"{opened} opened")


def idle_log_ins(target: Target, scale: Scale, outcome: Outcome) -> None:
    """200 connections of one supplier, logged in and idle."""
    accepted = 0
    with ExitStack() as stack:
        for _ in range(scale.connections):
            with suppress(*_ERRORS):
                transport = stack.enter_context(target.sftp(target.attacker))
                transport.open_session(timeout=_ANSWER_SECONDS)
                accepted += 1
        time.sleep(scale.seconds)
    outcome.expect(
        0 < accepted <= MAX_CONNECTIONS,
        f"{accepted} of {scale.connections} could open a session",
    )
    outcome.expect(_opens_again(target), _FREE)


def many_sessions(target: Target, scale: Scale, outcome: Outcome) -> None:
    """300 sessions on one connection, none of which starts."""
    # paramiko closes a session, and a handle, that nothing refers to.
    sessions = []
    with target.sftp(target.attacker) as transport:
        for _ in range(scale.sessions):
            with suppress(*_ERRORS):
                sessions.append(transport.open_session(timeout=_ANSWER_SECONDS))
    outcome.expect(0 < len(sessions) <= MAX_SESSIONS, f"{len(sessions)} sessions")
    outcome.expect(_opens_again(target), _FREE)


def many_handles(target: Target, scale: Scale, outcome: Outcome) -> None:
    """1,000 handles of one supplier, on as many connections as it gets."""
    handles: list[paramiko.SFTPFile] = []
    path = _file_of(target)
    with ExitStack() as stack:
        while len(handles) < scale.handles:
            before = len(handles)
            with suppress(*_ERRORS):
                transport = stack.enter_context(target.sftp(target.attacker))
                client = paramiko.SFTPClient.from_transport(transport)
                assert client is not None
                while len(handles) < scale.handles:
                    handles.append(client.open(path))
            if len(handles) == before:
                break
        time.sleep(scale.seconds)
    outcome.expect(0 < len(handles) <= MAX_HANDLES, f"{len(handles)} handles")
    outcome.expect(_opens_again(target), _FREE)


def extended_requests(target: Target, scale: Scale, outcome: Outcome) -> None:
    """check-file beyond the end of a file, and other extensions."""
    with target.sftp(target.attacker) as transport:
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        channel = client.get_channel()
        assert channel is not None
        channel.settimeout(_ANSWER_SECONDS)
        with client.open(_file_of(target)) as file:
            size = file.stat().st_size or 0
            requests: list[tuple[str, list[object]]] = [
                ("check-file", [file.handle, "sha1", int64(size + 1), int64(2**40), 256]),
                ("check-file-handle", [file.handle, "md5", int64(0), int64(0), 0]),
                ("posix-rename@openssh.com", [b"/a", b"/b"]),
                ("hardlink@openssh.com", [b"/a", b"/b"]),
                ("copy-data", [file.handle]),
                ("fsync@openssh.com", [file.handle]),
                ("nobody@nowhere", [b"x"]),
            ]
            for name, arguments in requests:
                answer = _answer(client, name, arguments)
                outcome.expect(answer == "refused", f"{name}: {answer}")


def large_packets(target: Target, scale: Scale, outcome: Outcome) -> None:
    """SSH packets announced as 1 GiB, before the log-in."""
    most = 0
    for _ in range(8):
        with target.sftp_socket() as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.sendall(b"SSH-2.0-attack\r\n" + struct.pack(">IB", 2**30, 4))
            sent = 0
            with suppress(OSError):
                while sent < _PACKET_BYTES:
                    sent += connection.send(b"x" * 2**16)
            most = max(most, sent)
    outcome.expect(most < _PACKET_BYTES, f"closed after {most / 2**20:.1f} MiB at most")


def greetings_that_never_end(target: Target, scale: Scale, outcome: Outcome) -> None:
    """100 clients that send their greeting one byte at a time."""
    with ExitStack() as stack:
        connections = []
        for _ in range(scale.connections // 2):
            with suppress(OSError):
                connections.append(stack.enter_context(target.sftp_socket()))
        until = time.monotonic() + scale.seconds
        while time.monotonic() < until:
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(b"S")
            time.sleep(0.5)
    outcome.lines.append(f"{len(connections)} greetings")


ATTACKS = [
    strangers_at_the_sftp_server, idle_log_ins, many_sessions, many_handles, extended_requests,
    large_packets, greetings_that_never_end,
]  # fmt: skip


def _file_of(target: Target) -> str:
    """Return the path of the attacker's own file."""
    with target.sftp(target.attacker) as transport:
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        folder = f"/{target.attacker.request}"
        return f"{folder}/{client.listdir(folder)[0]}"


def _opens_again(target: Target) -> bool:
    """Return whether the attacker can soon log in and open a file."""
    deadline = time.monotonic() + _FREE_SECONDS
    while time.monotonic() < deadline:
        with suppress(*_ERRORS), target.sftp(target.attacker) as transport:
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            client.open(_file_of(target)).close()
            return True
        time.sleep(0.1)
    return False


def _answer(client: paramiko.SFTPClient, name: str, arguments: list[object]) -> str:
    # paramiko has no public method for extended requests, and its type stubs have no private methods.
    untyped: Any = client
    try:
        kind, message = untyped._request(CMD_EXTENDED, name, *arguments)
    except TimeoutError:
        return "no answer"
    except OSError:
        return "refused"
    if kind == CMD_EXTENDED_REPLY or (kind == CMD_STATUS and message.get_int() == SFTP_OK):
        return "accepted"
    return "refused"
