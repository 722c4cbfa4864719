"""User accounts that belong to one supplier. They see only the file requests of this supplier."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.signals import pre_save
from django.dispatch import receiver

from exports.models.suppliers import Supplier

STAFF_WITH_SUPPLIER_ERROR = "A staff user cannot belong to a supplier."


class SupplierPerson(models.Model):
    """A supplier user: the link between a user account and its supplier.

    A staff user or a superuser cannot belong to a supplier. Saving such a link, or making a supplier user staff, raises
    ``ValidationError``.
    """

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

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the link. Raises ``ValidationError`` if the user is staff."""
        self.clean()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Raise ``ValidationError`` if the user is staff."""
        try:
            user = self.user
        except ObjectDoesNotExist:
            return  # The form has no user, and says so.
        if user.is_staff or user.is_superuser:
            raise ValidationError(STAFF_WITH_SUPPLIER_ERROR)


def makes_supplier_user_staff(user: User) -> bool:
    """Return whether saving ``user`` would make a supplier user staff or a superuser.

    False for a user who is both already: earlier versions allowed it, and such a user must be able to change the
    password.
    """
    if user.pk is None or not (user.is_staff or user.is_superuser):
        return False
    if not SupplierPerson.objects.filter(user=user.pk).exists():
        return False
    return not User.objects.filter(Q(is_staff=True) | Q(is_superuser=True), pk=user.pk).exists()


@receiver(pre_save, sender=User)
def _refuse_staff_of_supplier(
    instance: User,
    raw: bool,  # noqa: FBT001 (the signal's own argument)
    update_fields: Collection[str] | None = None,
    **_: Any,
) -> None:
    is_changed = update_fields is None or not {"is_staff", "is_superuser"}.isdisjoint(update_fields)
    if is_changed and not raw and makes_supplier_user_staff(instance):
        raise ValidationError(STAFF_WITH_SUPPLIER_ERROR)
