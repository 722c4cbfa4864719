"""User accounts that belong to one supplier. They see only the file requests of this supplier."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from exports.models.suppliers import Supplier


class SupplierPerson(models.Model):
    """A supplier user: the link between a user account and its supplier."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="supplier_person"
    )
    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="people")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["supplier", "user"]
        verbose_name = "supplier user"
        verbose_name_plural = "supplier users"

    def __str__(self) -> str:
        return f"{self.user} of {self.supplier}"
