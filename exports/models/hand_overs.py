"""A new supplier's private key on its way into the supplier's hands."""

from __future__ import annotations

import uuid

from django.db import models

from exports.models.suppliers import Supplier


class KeyHandOver(models.Model):
    """A private key that can be downloaded once; sealed with a token that only the hand-over page holds."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="hand_overs")
    fingerprint = models.CharField(max_length=64, help_text="Of the key's public half.")
    sealed = models.TextField(blank=True, editable=False)
    made_at = models.DateTimeField(auto_now_add=True)
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at"]
        verbose_name = "key hand-over"

    def __str__(self) -> str:
        return f"{self.fingerprint} for {self.supplier}"
