"""Every process may open as many files as the system allows."""

from __future__ import annotations

import errno
import resource
import socket
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest
from celery.signals import beat_init, worker_init

from headend import command_line
from headend.config import open_files
from headend.http import gunicorn_config


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The soft and the hard limit of a process, as a system that refuses limits above 20,000 keeps them."""
    kept = [1024, 4096]

    def set_limits(number: int, new: tuple[int, int]) -> None:
        if new[0] == resource.RLIM_INFINITY or new[0] > 20_000:
            raise ValueError("not allowed to raise maximum limit")
        kept[:] = new

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(kept))
    monkeypatch.setattr(resource, "setrlimit", set_limits)
    return kept


def test_the_limit_is_raised_to_the_hard_limit(limits: list[int]) -> None:
    open_files.raise_limit()
    assert limits == [4096, 4096]


def test_a_system_that_refuses_its_own_hard_limit_gets_the_largest_limit_of_macos(
    limits: list[int],
) -> None:
    limits[:] = [256, resource.RLIM_INFINITY]
    open_files.raise_limit()
    assert limits == [10_240, resource.RLIM_INFINITY]


def test_an_error_of_the_system_keeps_the_present_limit(
    limits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    open_files.raise_limit()
    assert limits == [1024, 4096]


@pytest.mark.filterwarnings("ignore::celery.exceptions.FixupWarning")
def test_every_kind_of_process_raises_its_limit_at_its_start(
    limits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(start: Callable[[], object]) -> list[int]:
        limits[:] = [1024, 4096]
        start()
        return list(limits)

    monkeypatch.setattr(sys, "argv", ["manage.py", "help", "run"])
    monkeypatch.setattr(command_line, "restart_in_utf8_mode", lambda: None)
    monkeypatch.setattr(command_line, "print_every_character", lambda: None)
    assert started(command_line.main) == [4096, 4096]
    assert started(lambda: worker_init.send(sender=None)) == [4096, 4096]
    assert started(lambda: beat_init.send(sender=None)) == [4096, 4096]
    assert started(lambda: gunicorn_config.on_starting(None)) == [4096, 4096]


def test_a_spare_file_refuses_a_connection_when_the_process_has_no_free_file() -> None:
    def without_free_file() -> tuple[socket.socket, None]:
        if spare_file.is_open:
            raise OSError(errno.EMFILE, "Too many open files")
        return accepted, None

    spare_file = open_files.SpareFile()
    client, accepted = socket.socketpair()
    listening = cast("socket.socket", SimpleNamespace(accept=without_free_file))
    with client:
        assert spare_file.refuse_connection(listening)
        assert client.recv(1) == b""
    assert spare_file.is_open
    spare_file.close()
    spare_file.close()


def test_a_spare_file_that_cannot_be_opened_is_opened_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as full:
        full.setattr("headend.config.open_files.os.open", fail)
        spare_file = open_files.SpareFile()
    assert not spare_file.is_open
    listening = cast("socket.socket", SimpleNamespace(accept=fail))
    assert not spare_file.refuse_connection(listening)
    assert spare_file.is_open
    spare_file.close()
