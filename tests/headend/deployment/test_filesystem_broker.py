"""The embedded broker: several processes send and receive messages through one folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from headend.celery import app
from headend.config import draining
from headend.deployment.filesystem_broker import Channel

MESSAGES = 1_000
_CONSUME = """
import sys, time
from pathlib import Path
from queue import Empty
from tests.headend.deployment.test_filesystem_broker import channel_on
channel, done = channel_on(Path(sys.argv[1])), Path(sys.argv[2])
while True:
    all_sent = done.exists()
    try:
        print(channel._get("exports")["number"])
    except Empty:
        if all_sent:
            break
        time.sleep(0.005)
"""


def channel_on(folder: Path) -> Channel:
    """Return a channel of the transport for ``CELERY_BROKER_URL=filesystem://``."""
    folders = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
    connection = Connection(
        "filesystem://localhost",
        transport_options={name: str(path) for name, path in folders.items()},
    )
    channel = connection.channel()
    assert isinstance(channel, Channel)
    return channel


def test_celery_uses_the_embedded_broker() -> None:
    with app.connection_for_write() as connection:
        assert isinstance(connection.channel(), Channel)


@pytest.mark.starts_processes
def test_two_processes_receive_every_message_once_and_complete(tmp_path: Path) -> None:
    folder, done = tmp_path / "messages", tmp_path / "done"
    folder.mkdir()
    consumers = [
        subprocess.Popen(
            [sys.executable, "-c", _CONSUME, str(folder), str(done)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    channel = channel_on(folder)
    for number in range(MESSAGES):
        channel._put("exports", {"number": number})
    done.touch()
    with ThreadPoolExecutor(2) as readers:
        printed = list(readers.map(subprocess.Popen.communicate, consumers))
    assert [errors for _, errors in printed] == ["", ""]
    numbers = sorted(int(line) for out, _ in printed for line in out.split())
    assert numbers == list(range(MESSAGES))
    assert list(folder.glob("*.msg*")) == []


def test_a_message_that_is_being_written_cannot_be_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = channel_on(tmp_path)
    rename: Callable[[Path, Path], Path] = Path.rename
    seen: list[bool] = []

    def receive_before_renaming(self: Path, target: Path) -> Path:
        if self.name.endswith(".unfinished"):
            with pytest.raises(Empty):
                channel_on(tmp_path)._get("exports")
            seen.append(True)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", receive_before_renaming)
    channel._put("exports", {"number": 1})
    assert seen == [True]
    assert channel._get("exports") == {"number": 1}


def test_messages_are_received_in_the_order_in_which_they_were_sent(tmp_path: Path) -> None:
    channel = channel_on(tmp_path)
    for number in range(5):
        channel._put("exports", {"number": number})
    assert [channel._get("exports")["number"] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_queue_has_only_its_own_messages(tmp_path: Path) -> None:
    channel = channel_on(tmp_path)
    channel._put("readings", {"number": 1})
    with pytest.raises(Empty):
        channel._get("exports")
    assert channel._get("readings") == {"number": 1}


def test_a_message_is_received_without_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # If the temporary folder is on another disk, moving a message means copying it, and two processes may copy it.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    messages = tmp_path / "messages"
    messages.mkdir()
    channel = channel_on(messages)
    channel._put("exports", {"number": 1})
    assert channel._get("exports") == {"number": 1}
    assert list(messages.iterdir()) == []


@pytest.fixture
def received(tmp_path: Path) -> Iterator[tuple[Connection, list[int]]]:
    """The connection of a consumer, and the numbers in the messages that it has received."""
    folder = str(tmp_path)
    options = dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), folder)
    with Connection(
        "filesystem://localhost", transport_options=options | {"polling_interval": 0.01}
    ) as connection:
        numbers: list[int] = []
        channel = connection.channel()
        assert isinstance(channel, Channel)
        channel.basic_consume("exports", True, lambda m: numbers.append(m.decode()["number"]), "1")
        yield connection, numbers


def test_a_consumer_waits_for_a_message_until_its_timeout(
    received: tuple[Connection, list[int]],
) -> None:
    connection, numbers = received
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.01)
    for number in (1, 2):
        connection.Producer().publish({"number": number}, routing_key="exports")
        connection.drain_events(timeout=30)
    assert numbers == [1, 2]


def test_a_worker_that_drains_waits_for_no_message_and_takes_none(
    received: tuple[Connection, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "has_begun", lambda: True)
    connection, numbers = received
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)
    connection.Producer().publish({"number": 1}, routing_key="exports")
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)
    assert numbers == []
