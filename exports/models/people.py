"""Whose eyes may rest on what: the people of a supplier, who see their own supplier's files and no others."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from exports.models.suppliers import Supplier


class SupplierPerson(models.Model):
    """A login that belongs to a supplier."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="supplier_person"
    )
    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="people")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["supplier", "user"]
        verbose_name = "supplier's person"
        verbose_name_plural = "suppliers' people"

    def __str__(self) -> str:
        return f"{self.user} of {self.supplier}"
