"""The embedded broker: kombu's messages as files in a folder, made so that each appears whole.

kombu's own transport opens a message under its final name before writing it, so that a
reader may take an empty file; and it orders messages by a clock that starts anew at boot.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """kombu's channel with messages that are renamed into place."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override] # kombu's own two declarations differ
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        # The name of a file that is being written ends in no queue's name, so nobody reads it.
        aside = folder / f"{name}.unfinished"
        aside.write_bytes(str_to_bytes(dumps(payload)))
        aside.rename(folder / name)


class Transport(filesystem.Transport):
    """The transport behind ``CELERY_BROKER_URL=filesystem://``."""

    Channel = Channel
