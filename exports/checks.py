"""System checks that read suppliers and their users from the database.

They read it only if ``databases`` names one, as Django asks of checks with the tag ``database``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection
from django.db.models import Q

from exports.models import Supplier, SupplierPerson


@register(Tags.database)
def anonymous_supplier_exists(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """``headend.E002``: ``HEADEND_ANONYMOUS_SUPPLIER`` names no active supplier.

    Calls without an API key would be refused although the setting allows them.
    """
    name = settings.HEADEND_ANONYMOUS_SUPPLIER
    if not databases or not name or Supplier.objects.filter(name=name, active=True).exists():
        return []
    return [
        Error(
            f"HEADEND_ANONYMOUS_SUPPLIER is {name!r}, but no active supplier has this name.",
            hint="Set it to the name of an active supplier, or unset it.",
            id="headend.E002",
        )
    ]


@register(Tags.database)
def staff_belong_to_no_supplier(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """``headend.W003``: a user belongs to a supplier, and is staff or a superuser.

    The model refuses this, but earlier versions stored such users. Before the first ``migrate`` there are none.
    """
    if not databases or SupplierPerson._meta.db_table not in connection.introspection.table_names():
        return []
    staff = SupplierPerson.objects.filter(Q(user__is_staff=True) | Q(user__is_superuser=True))
    names = staff.order_by("user__username").values_list("user__username", "supplier__name")
    return [
        Warning(
            f"The user {user} belongs to the supplier {supplier}, and is also staff.",
            hint="In the admin, remove the user's supplier, or the user's staff and superuser status.",
            id="headend.W003",
        )
        for user, supplier in names
    ]
