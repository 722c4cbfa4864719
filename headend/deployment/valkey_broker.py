"""kombu's transport for Valkey and Redis, with one correction: a message whose acknowledgement failed is not counted.

A worker takes messages only while few of them are not acknowledged: fewer than its threads, multiplied by
``CELERY_WORKER_PREFETCH_MULTIPLIER``. If the server cannot be reached at an acknowledgement, kombu keeps the message in
this count, also when the connection is restored. After two such errors, a worker with two threads takes no more
messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    """Counts the messages that are not acknowledged."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. If this fails, it is not counted any more, and may be delivered again."""
        with self._no_longer_counted_after_an_error(delivery_tag):
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, *args: Any, **options: Any) -> None:
        """Reject a message. If this fails, it is not counted any more, and may be delivered again."""
        with self._no_longer_counted_after_an_error(delivery_tag):
            super().reject(delivery_tag, *args, **options)

    @contextmanager
    def _no_longer_counted_after_an_error(self, delivery_tag: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    """kombu's channel."""

    QoS = QoS


class Transport(redis.Transport):
    """The transport for ``CELERY_BROKER_URL=redis://`` and ``rediss://``."""

    Channel = Channel
