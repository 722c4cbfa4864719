"""The transport for Valkey when the server cannot be reached for a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kombu import Queue

from headend.celery import app
from tests.services.servers import Valkey


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize("answer", ["ack", "reject"])
def test_a_worker_still_takes_messages_after_an_answer_to_one_has_failed(
    tmp_path: Path, answer: str
) -> None:
    with Valkey(tmp_path) as server, app.connection_for_read(server.url) as connection:
        channel: Any = connection.default_channel
        channel.basic_qos(0, 1, False)
        queue = Queue("wake-ups", channel=channel)
        queue.declare()
        connection.Producer(channel).publish({}, routing_key="wake-ups")
        message = queue.get()
        assert message is not None
        assert not channel.qos.can_consume()
        server.stop()
        with pytest.raises(connection.connection_errors):
            getattr(message, answer)()
        assert channel.qos.can_consume()
