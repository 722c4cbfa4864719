"""Lists of meters that file requests name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from django.db import models

SEPARATOR = ","
"""No device id contains it."""


class MeterList(models.Model):
    """A list of up to 50,000 meters, which can have 2 MB.

    Requests for the same meters share one row. It is not a column of the request: the row of a request is read and
    written often, for example each time a lease is renewed.
    """

    sha256 = models.CharField("SHA-256", max_length=64, unique=True, help_text="Of the device ids.")
    device_ids = models.TextField(help_text="Ascending, separated by commas.")

    def __str__(self) -> str:
        return f"meters {self.sha256[:8]}"

    @classmethod
    def of(cls, device_ids: Sequence[str]) -> MeterList:
        """Return the stored list of these device ids, which are ascending. Stores it if it is new.

        Call it in the transaction that stores a request with the list: the list is not deleted until this ends.
        """
        text = SEPARATOR.join(device_ids)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        while True:
            stored, is_new = cls.objects.get_or_create(sha256=sha256, defaults={"device_ids": text})
            # Another process may have deleted the list after it was read: no other request named it.
            locked = cls.objects.select_for_update().filter(pk=stored.pk).values_list("pk")
            if is_new or locked.first():
                return stored

    def split(self) -> tuple[str, ...]:
        """Return the device ids, ascending."""
        return tuple(self.device_ids.split(SEPARATOR))
