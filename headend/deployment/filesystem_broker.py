"""The embedded broker: each message is a file, which appears and disappears atomically.

It replaces parts of kombu's file system transport, for five reasons:

- kombu's consumers look for a message ten times a second. Here the arrival of a message wakes them.
- kombu creates a message under its final name before it writes the content, so a reader can find an empty file.
- kombu copies a received message to the system's temporary folder if that is on another disk. Then, too, a second
  reader can find an empty file.
- kombu orders messages by a clock that restarts at each boot.
- After SIGTERM, Celery still asks for a message once or twice, and waits two seconds each time. Here an idle worker ends at
  once.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

from headend.config import draining
from headend.deployment.message_watch import MessageWatch


class Channel(filesystem.Channel):
    """kombu's channel. A message is sent by renaming its file into the folder, and received by renaming it again."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override] # kombu's own two declarations differ
        """Send a message. Its file name begins with the time in nanoseconds, so names sort by age."""
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        # Readers look for names that end with a queue's name, so they ignore an unfinished file.
        unfinished = folder / f"{name}.unfinished"
        unfinished.write_bytes(str_to_bytes(dumps(payload)))
        unfinished.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Remove the queue's oldest message and return it. Raises ``Empty`` if there is none.

        If several processes read at once, only one of them gets the message.
        """
        folder = Path(self.data_folder_in)
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name.partition(".")[2] == f"{queue}.msg")
        for name in names:
            taken = folder / f"{name}.taken"
            try:
                (folder / name).rename(taken)
            except FileNotFoundError:
                continue
            payload = taken.read_bytes()
            taken.unlink()
            return loads(bytes_to_str(payload))
        raise Empty


class Transport(filesystem.Transport):
    """The transport for ``CELERY_BROKER_URL=filesystem://``."""

    Channel = Channel

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self._options = client.transport_options
        self._watch: MessageWatch | None = None

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:  # type: ignore[override] # kombu's own two declarations differ
        """Deliver one message.

        Raises ``TimeoutError`` if none arrives within ``timeout`` seconds, and if the process drains. Then no message
        is taken.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        if self._watch is None:
            folder = Path(self._options["data_folder_in"])
            self._watch = MessageWatch(folder, self._options["polling_interval"])
        assert self.cycle is not None  # its type is kombu's class attribute
        while not draining.has_begun():
            try:
                self.cycle.get(self._deliver, timeout=timeout)
            except Empty:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._watch.wait(left)
            else:
                return
        raise TimeoutError

    def close_connection(self, connection: Any) -> None:
        """Close the channels, and stop watching the folder."""
        super().close_connection(connection)
        if self._watch is not None:
            self._watch.close()
            self._watch = None
