"""The embedded broker: kombu's messages as files in a folder, each of which appears and goes whole.

kombu's own transport opens a message under its final name before writing it, and copies a taken
one to the system's temporary folder where that is another disk: both ways, two readers of one
folder come upon a file that is still empty. It also orders messages by a clock that starts anew
at boot.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    """kombu's channel with messages that are renamed into place, and taken by being renamed."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override] # kombu's own two declarations differ
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        # The name of a file that is being written ends in no queue's name, so nobody reads it.
        aside = folder / f"{name}.unfinished"
        aside.write_bytes(str_to_bytes(dumps(payload)))
        aside.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The oldest message, which from then on is nobody else's. Raises ``Empty``."""
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
    """The transport behind ``CELERY_BROKER_URL=filesystem://``."""

    Channel = Channel
