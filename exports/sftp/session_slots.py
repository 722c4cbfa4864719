"""Counts the sessions (SSH channels) of one connection, from their request to their end."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from exports.sftp.quotas import Quota

MAX_SESSIONS = 10
"""How many sessions a client can have open on one connection: the limit of AWS Transfer Family."""
MAX_SESSIONS_IN_ALL = 10_000
"""How many sessions a client can open on one connection, one after another: paramiko remembers the id of each."""


@dataclass
class _Slot:
    channel_is_open: bool = True
    thread_is_running: bool = False


class SessionSlots:
    """Counts a session while its channel is open or its thread runs, whichever is longer."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._slots: dict[int, _Slot] = {}
        self._supplier_id = 0
        self._requested = 0
        self._changed = threading.Condition()

    def take(self, supplier_id: int, channel_id: int) -> bool:
        """Count the session of a channel that a client requests, or return false at a limit."""
        with self._changed:
            if len(self._slots) >= MAX_SESSIONS or self._requested >= MAX_SESSIONS_IN_ALL:
                return False
            if not self._quota.take(supplier_id):
                return False
            self._supplier_id = supplier_id
            self._requested += 1
            self._slots[channel_id] = _Slot()
            return True

    def start(self, channel_id: int) -> bool:
        """Note that the session's thread starts. Return false if it has one, or if its channel is closed."""
        with self._changed:
            slot = self._slots.get(channel_id)
            if slot is None or slot.thread_is_running or not slot.channel_is_open:
                return False
            slot.thread_is_running = True
            return True

    def thread_ended(self, channel_id: int) -> None:
        """Note that the session's thread ends, after it has closed its files, or did not start."""
        with self._changed:
            self._slots[channel_id].thread_is_running = False
            self._free_unused()

    def channel_closed(self, channel_id: int) -> None:
        """Note that the channel is closed."""
        with self._changed:
            if channel_id in self._slots:
                self._slots[channel_id].channel_is_open = False
            self._free_unused()

    def connection_closed(self, seconds: float | None) -> bool:
        """Note that all channels are closed, and wait until all threads have ended.

        Return false if a thread still runs after ``seconds``. None waits without a limit. Call it only when no further
        channel can be opened.
        """
        with self._changed:
            for slot in self._slots.values():
                slot.channel_is_open = False
            self._free_unused()
            return self._changed.wait_for(lambda: not self._slots, seconds)

    def _free_unused(self) -> None:
        for channel_id, slot in list(self._slots.items()):
            if not slot.channel_is_open and not slot.thread_is_running:
                del self._slots[channel_id]
                self._quota.release(self._supplier_id)
        self._changed.notify_all()
