"""The error of a push. It has its own module, because that of the connection needs paramiko."""

from __future__ import annotations


class PushError(Exception):
    """The upload or the connection failed. The message says why."""
