"""The health check of the container image calls the servers of its container."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import pytest
from honcho.environ import parse_procfile

from tests.deploy.tools import DEPLOY, ROOT
from tests.ports import unused_port

PROCFILE = parse_procfile((ROOT / "Procfile").read_text()).processes
RUN = ["/opt/headend/bin/python", "/opt/headend/bin/headend", "run"]
WEB_OK = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"
WEB_BROKEN = b"HTTP/1.0 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, which is no part of a package. Nothing listens on the ports of its settings."""
    spec = importlib.util.spec_from_file_location(
        "container_health", DEPLOY / "container_health.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # On a busy machine, a server that answers may also take longer.
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 60)
    for setting in ("HEADEND_PORT", "SFTP_PORT"):
        monkeypatch.setenv(setting, str(unused_port()))
    return module


@pytest.fixture
def first_process(
    health: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[list[str]], None]:
    """Sets the command line of the container's first process."""
    file = tmp_path / "cmdline"
    monkeypatch.setattr(health, "FIRST_PROCESS", file)

    def set_command_line(words: list[str]) -> None:
        file.write_text("".join(f"{word}\0" for word in words))

    return set_command_line


@contextmanager
def server(monkeypatch: pytest.MonkeyPatch, setting: str, answer: bytes | None) -> Iterator[None]:
    """A server on the port of this setting. It sends ``answer`` to one client; None: it accepts and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv(setting, str(listener.getsockname()[1]))
        answered = threading.Thread(target=_answer, args=(listener, answer))
        if answer is not None:
            answered.start()
        yield
        if answer is not None:
            answered.join()


def _answer(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    # A client that has its answer can close the connection first.
    with connection, suppress(OSError):
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


@pytest.mark.parametrize(
    ("command", "checked"),
    [
        (RUN, ["check_web", "check_sftp"]),
        (PROCFILE["web"].split(), ["check_web"]),
        (PROCFILE["sftp"].split(), ["check_sftp"]),
        (PROCFILE["worker"].split(), []),
        (PROCFILE["deliveries"].split(), []),
        (PROCFILE["beat"].split(), []),
        ([*RUN[:2], "process", "web"], ["check_web"]),
        ([*RUN[:2], "process", "sftp"], ["check_sftp"]),
        ([*RUN[:2], "process", "worker"], []),
    ],
)
def test_the_servers_of_the_container_are_checked(
    health: ModuleType, command: list[str], checked: list[str]
) -> None:
    assert [check.__name__ for check in health.checks([*command, ""])] == checked


def test_a_web_server_that_answers_is_healthy(
    health: ModuleType,
    first_process: Callable[[list[str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first_process(["gunicorn"])
    with server(monkeypatch, "HEADEND_PORT", WEB_OK):
        health.main()


def test_an_sftp_server_that_greets_is_healthy(
    health: ModuleType,
    first_process: Callable[[list[str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first_process(["headend", "sftpserver"])
    with server(monkeypatch, "SFTP_PORT", b"SSH-2.0-headend\r\n"):
        health.main()


@pytest.mark.parametrize(
    ("words", "setting", "answer", "message"),
    [
        (["gunicorn"], "HEADEND_PORT", WEB_BROKEN, "HTTP Error 500"),
        (["gunicorn"], "HEADEND_PORT", b"SSH-2.0-x\r\n", "SSH-2.0-x"),
        (["gunicorn"], "HEADEND_PORT", None, "timed out"),
        (["sftpserver"], "SFTP_PORT", WEB_OK, "does not speak SSH"),
        (["sftpserver"], "SFTP_PORT", b"", "does not speak SSH"),
        (["sftpserver"], "SFTP_PORT", None, "timed out"),
    ],
)
def test_a_server_with_a_wrong_answer_is_unhealthy(
    health: ModuleType,
    first_process: Callable[[list[str]], None],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    setting: str,
    answer: bytes | None,
    message: str,
) -> None:
    first_process(words)
    if answer is None:
        monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.2)
    with (
        server(monkeypatch, setting, answer),
        pytest.raises(SystemExit, match=rf"^unhealthy: .*{message}"),
    ):
        health.main()


@pytest.mark.parametrize("words", [["gunicorn"], ["sftpserver"]])
def test_a_container_without_its_server_is_unhealthy(
    health: ModuleType, first_process: Callable[[list[str]], None], words: list[str]
) -> None:
    first_process(words)
    with pytest.raises(SystemExit, match=r"^unhealthy: .*refused"):
        health.main()
