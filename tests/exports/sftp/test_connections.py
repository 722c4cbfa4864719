"""Which connections an SFTP process accepts, and which ones it closes for others."""

from __future__ import annotations

import errno
import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import paramiko
import pytest

from exports.models import SshKey, Supplier
from exports.sftp import acceptor, server
from exports.sftp.acceptor import Acceptor
from exports.sftp.authentication import ConnectionAuth
from exports.sftp.connection_delay import BURST, MAX_DELAY, PER_SECOND, ConnectionDelay
from exports.sftp.connections import Connection, Connections
from exports.sftp.protocol import LimitedSFTPServer
from exports.sftp.quotas import Quota, Quotas
from exports.sftp.server import Listener
from exports.sftp.session_slots import MAX_SESSIONS, SessionSlots
from exports.sftp.transport import ServerTransport
from headend.config.limited_log import LimitedLog
from headend.config.sftp_limits import SftpLimits
from tests.exports.conftest import Connect

LIMITS = SftpLimits(connections=6, connections_per_address=3, connections_without_login=4)


class Socket:
    """A socket that tells the threads of its connection that it was shut down."""

    def __init__(self) -> None:
        self.on_shutdown: Callable[[], None] = lambda: None

    def shutdown(self, how: int) -> None:
        self.on_shutdown()


class ConnectionsThatEnd(Connections):
    """Connections whose threads end as soon as they are cut."""

    def admit(self, connection: Connection) -> bool:
        sock = cast("Socket", connection.socket)
        sock.on_shutdown = lambda: self.remove(connection)
        return super().admit(connection)


def connection(address: str, *, supplier: int | None = None) -> Connection:
    auth = ConnectionAuth(address, "trace", Quotas(LIMITS))
    if supplier is not None:
        auth.key = SshKey(supplier=Supplier(pk=supplier, name=f"supplier{supplier}"))
        assert auth.log_in() is None
    return Connection(cast("socket.socket", Socket()), auth)


def test_a_new_connection_replaces_the_oldest_one_of_its_address_without_a_login() -> None:
    connections = ConnectionsThatEnd(LIMITS)
    first, second, logged_in, fourth = [
        *(connection("192.0.2.1"), connection("192.0.2.1")),
        *(connection("192.0.2.1", supplier=1), connection("192.0.2.1")),
    ]
    assert all(connections.admit(opened) for opened in (first, second, logged_in, fourth))
    assert [opened.is_cut for opened in (first, second, logged_in, fourth)] == [
        *(True, False, False, False)
    ]
    other = connection("192.0.2.2")
    assert connections.admit(other)
    assert not second.is_cut


def test_an_address_whose_connections_are_all_logged_in_gets_no_further_one() -> None:
    connections = ConnectionsThatEnd(LIMITS)
    assert all(connections.admit(connection("192.0.2.1", supplier=n)) for n in range(3))
    assert not connections.admit(connection("192.0.2.1"))
    assert connections.admit(connection("192.0.2.2"))


def test_strangers_of_one_address_are_closed_before_those_of_another() -> None:
    connections = ConnectionsThatEnd(LIMITS)
    innocent = connection("192.0.2.9")
    strangers = [connection("192.0.2.1") for _ in range(3)]
    assert connections.admit(innocent)
    for stranger in strangers:
        assert connections.admit(stranger)
    assert connections.admit(connection("192.0.2.8"))
    assert not innocent.is_cut
    assert [stranger.is_cut for stranger in strangers] == [True, False, False]


def test_an_ipv6_network_of_64_bits_counts_as_one_address() -> None:
    connections = ConnectionsThatEnd(LIMITS)
    same_network = [connection(f"2001:db8::{n}") for n in range(1, 5)]
    assert all(connections.admit(opened) for opened in same_network)
    assert [opened.is_cut for opened in same_network] == [True, False, False, False]
    other_network, mapped = connection("2001:db8:0:1::1"), connection("192.0.2.1")
    assert connections.admit(other_network)
    assert connections.admit(mapped), "the larger network loses one more connection"
    assert [opened.is_cut for opened in (*same_network, other_network)] == [
        *(True, True, False, False, False)
    ]


def test_a_connection_that_was_cut_counts_until_its_threads_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exports.sftp.connections.CUT_SECONDS", 0)
    connections = Connections(LIMITS)
    strangers = [connection(f"192.0.2.{number}") for number in range(4)]
    assert all(connections.admit(stranger) for stranger in strangers)
    newcomer = connection("192.0.2.9")
    for number in range(6):
        # A newcomer is admitted if a connection can be cut for it, and then it gets no room.
        assert connections.admit(newcomer) == (number < 4)
        assert not connections.wait_for_room(newcomer)
    assert all(stranger.is_cut for stranger in strangers)
    assert len(connections._open) == 4
    connections.remove(strangers[2])
    assert connections.admit(newcomer)
    assert connections.wait_for_room(newcomer)
    assert not newcomer.is_cut


def test_connections_that_wait_for_room_are_limited_and_no_other_one_takes_their_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exports.sftp.connections.CUT_SECONDS", 0)
    connections = Connections(LIMITS)
    strangers = [connection(f"192.0.2.{number}") for number in range(4)]
    newcomers = [connection(f"198.51.100.{number}") for number in range(5)]
    assert all(connections.admit(stranger) for stranger in strangers)
    assert [connections.admit(newcomer) for newcomer in newcomers] == [*[True] * 4, False]
    connections.remove(strangers[0])
    assert not connections.admit(newcomers[4])
    assert connections.wait_for_room(newcomers[0])
    assert not connections.wait_for_room(newcomers[1])
    assert connections.wait_for_room(newcomers[0])


@pytest.mark.starts_processes
def test_a_client_for_which_no_connection_ends_is_refused_in_its_own_thread(
    monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    monkeypatch.setattr("exports.sftp.connections.CUT_SECONDS", 0)
    monkeypatch.setattr(server, "limited_log", LimitedLog(server.log))
    one = SftpLimits(connections=2, connections_per_address=2, connections_without_login=1)
    listener = Listener("127.0.0.1", 0, [], limits=one)
    hanging = connection("192.0.2.1")
    with listener._socket, accepted_pair() as (client, accepted):
        assert listener._connections.admit(hanging)
        listener._start_connection(accepted, "192.0.2.2")
        assert client.recv(1) == b""
    assert hanging.is_cut
    assert list(listener._connections._open) == [hanging]
    assert [line["message"] for line in log_lines()] == ["too many connections"]


def test_a_connection_that_was_cut_is_not_checked_for_revocation_again() -> None:
    connections = Connections(LIMITS)
    supplier, other = connection("192.0.2.1", supplier=1), connection("192.0.2.1", supplier=2)
    assert connections.admit(supplier)
    assert connections.admit(other)
    supplier.cut()
    assert connections.logged_in() == [other]


def test_any_number_of_strangers_leaves_room_for_one_more_client() -> None:
    connections = ConnectionsThatEnd(LIMITS)
    for number in range(50):
        assert connections.admit(connection(f"192.0.2.{number}"))
    assert len(connections._open) == LIMITS.connections_without_login


def test_logged_in_suppliers_never_use_the_connections_reserved_for_logins() -> None:
    quotas = Quotas(LIMITS)
    assert [quotas.connections.take(supplier) for supplier in range(3)] == [True, True, False]


def test_a_quota_is_per_supplier_and_in_total() -> None:
    quota = Quota(total=3, per_supplier=2)
    assert [quota.take(1), quota.take(1), quota.take(1)] == [True, True, False]
    assert [quota.take(2), quota.take(2)] == [True, False]
    quota.release(1)
    assert quota.take(2)


def test_a_session_counts_from_its_request_until_channel_and_thread_have_ended() -> None:
    quota = Quota(total=100, per_supplier=100)
    slots = SessionSlots(quota)
    assert [slots.take(1, channel) for channel in range(MAX_SESSIONS + 1)] == [
        *[True] * MAX_SESSIONS,
        False,
    ]
    assert slots.start(0)
    assert not slots.start(0), "one channel has one session"
    slots.channel_closed(0)
    assert not slots.take(1, 20), "the thread of channel 0 still runs"
    slots.thread_ended(0)
    assert slots.take(1, 20)
    slots.channel_closed(1)
    assert not slots.start(1)
    assert slots.start(2)
    assert not slots.connection_closed(0), "the thread of channel 2 still runs"
    assert quota.taken(1) == 1
    slots.thread_ended(2)
    assert slots.connection_closed(None)
    assert quota.taken(1) == 0


class FullSocket:
    """A listening socket: ``accept`` fails with ``error`` until a file of the process is closed."""

    def __init__(self, error: int, acceptor: Acceptor | None = None) -> None:
        self.error, self.acceptor = error, acceptor
        self.refused: list[str] = []

    def accept(self) -> tuple[Any, tuple[str, int]]:
        if self.acceptor is not None and not self.acceptor._spare_file.is_open:
            peer, _ = socket.socketpair()
            self.refused.append("192.0.2.1")
            return peer, ("192.0.2.1", 1)
        raise OSError(self.error, "no")

    def close(self) -> None:
        """Do nothing."""


def test_without_a_free_file_the_waiting_client_is_refused_and_room_is_made_for_the_next() -> None:
    listening, connections = FullSocket(errno.EMFILE), ConnectionsThatEnd(LIMITS)
    strangers = [connection("192.0.2.1") for _ in range(3)]
    supplier = connection("192.0.2.2", supplier=1)
    assert all(connections.admit(opened) for opened in (supplier, *strangers))
    with Acceptor(cast("socket.socket", listening), connections.make_room) as full:
        listening.acceptor = full
        assert full.accept() is None
        assert full.accept() is None
        assert full._spare_file.is_open
    assert len(listening.refused) == 2
    assert [stranger.is_cut for stranger in strangers] == [True, True, False]
    connections.make_room()
    connections.make_room()
    assert not supplier.is_cut


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        *((errno.ECONNABORTED, 0), (errno.EPROTO, 0)),
        *((errno.ENOBUFS, 50), (errno.ENOMEM, 50), (errno.ENFILE, 50)),
    ],
)
def test_an_error_of_accept_does_not_end_the_server_and_is_logged_once_a_second(
    error: int,
    pauses: int,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("exports.sftp.acceptor.time.sleep", slept.append)
    monkeypatch.setattr(acceptor, "limited_log", LimitedLog(server.log, seconds=3600))
    with Acceptor(cast("socket.socket", FullSocket(error)), lambda: None) as failing:
        assert [failing.accept() for _ in range(50)] == [None] * 50
    assert len(slept) == pauses
    assert [line["message"] for line in log_lines()] == ["a connection cannot be accepted"]


def test_a_limited_log_says_how_many_lines_it_left_out(
    monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    now = itertools.count(100.0, 0.25)
    monkeypatch.setattr("headend.config.limited_log.time.monotonic", lambda: next(now))
    limited = LimitedLog(server.log)
    for _ in range(6):
        limited.warning("refused", peer="192.0.2.1")
    assert [(line["message"], line.get("more")) for line in log_lines()] == [
        ("refused", None),
        ("refused", 3),
    ]


@contextmanager
def accepted_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, accepted = socket.socketpair()
    client.settimeout(5)
    with client, accepted:
        yield client, accepted


def test_a_process_that_can_start_no_threads_refuses_the_client(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    listener = Listener("127.0.0.1", 0, [])
    with listener._socket, accepted_pair() as (client, accepted):

        def refuse(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as full:
            full.setattr("exports.sftp.server.threading.Thread.start", refuse)
            listener._start_connection(accepted, "192.0.2.1")
        assert client.recv(1) == b""
    assert not listener._connections._open


def test_an_address_that_opens_many_connections_gets_them_served_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("exports.sftp.connection_delay.time.monotonic", lambda: now)
    delay = ConnectionDelay()
    delays = [delay.seconds("192.0.2.1") for _ in range(100)]
    assert delays[: BURST + 1] == [0.0] * (BURST + 1)
    assert delays[BURST + 3] == pytest.approx(0.3)
    assert max(delays) == pytest.approx(MAX_DELAY)
    assert delay.seconds("192.0.2.2") == 0.0
    now += MAX_DELAY + BURST / PER_SECOND
    assert delay.seconds("192.0.2.1") == 0.0
    assert list(delay._next_at) == ["192.0.2.1"]


def test_all_addresses_of_an_ipv6_network_are_delayed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exports.sftp.connection_delay.time.monotonic", lambda: 100.0)
    delay = ConnectionDelay()
    delays = [delay.seconds(f"2001:db8::{number:x}") for number in range(100)]
    assert delays[-1] == pytest.approx(MAX_DELAY)
    assert delay.seconds("2001:db8:0:1::1") == 0.0


def test_a_connection_that_is_cut_during_its_delay_ends_at_once() -> None:
    delayed = connection("192.0.2.1")
    assert delayed.wait(0)
    delayed.cut()
    assert not delayed.wait(3600)


def test_a_session_or_connection_that_gets_no_thread_is_refused_and_the_next_one_works(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    with connect() as client:
        for _ in range(2 * MAX_SESSIONS):
            channel = client.open_session()
            with monkeypatch.context() as full:
                full.setattr(LimitedSFTPServer, "start", refuse)
                with pytest.raises(paramiko.SSHException):
                    channel.invoke_subsystem("sftp")
            channel.close()
        with monkeypatch.context() as full:
            full.setattr(ServerTransport, "start_server", refuse)
            with pytest.raises((paramiko.SSHException, EOFError)), connect():
                pass
        with connect() as other, client.open_sftp_client() as sftp:
            assert other.is_authenticated()
            assert sftp.listdir("/") == []
