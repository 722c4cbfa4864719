"""A mixin for admin pages that show records and do not allow changes."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Model
from django.http import HttpRequest


class ReadOnly(BaseModelAdmin[Any]):
    """Shows all fields as text. No user can add, change or delete a record.

    For records that the system writes, such as downloads and delivery attempts.
    """

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return the names of all fields that the page shows."""
        return [str(name) for name in flatten_fieldsets(self.get_fieldsets(request, obj))]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False for every user."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False for every user; Django then shows the page without a form."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False for every user."""
        return False
