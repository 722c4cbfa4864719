"""kombu's transport for Valkey and Redis, with one correction: a failed acknowledgement does not count for ever.

A worker takes messages only while fewer than a limit are not acknowledged (``CELERY_WORKER_PREFETCH_MULTIPLIER``). If
the server cannot be reached at an acknowledgement, kombu keeps the message in this count, also when the connection is
restored. After two such errors, a worker with two threads takes no message any more.
"""

from __future__ import annotations

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    """Counts the messages that are not acknowledged."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. If this fails, the server delivers the message again, and it is not counted."""
        try:
            super().ack(delivery_tag)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    """kombu's channel."""

    QoS = QoS


class Transport(redis.Transport):
    """The transport for ``CELERY_BROKER_URL=redis://`` and ``rediss://``."""

    Channel = Channel
