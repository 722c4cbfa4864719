"""The roles of staff users: Django groups with their permissions.

Every ``migrate`` creates missing roles and adds missing permissions to them. It removes no permission, so
those that an administrator added stay. To allow less than a role does, create a new group in the admin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions

_HISTORY = [
    "exports.filerequest",
    "exports.meterlist",
    "exports.exportpart",
    "exports.delivery",
    "exports.deliveryattempt",
    "exports.filefetch",
    "exports.fileremoval",
    "exports.fileverification",
    "exports.sftpsession",
    "readings.livearrival",
    "readings.awaitedinterval",
    "readings.describedtable",
    "readings.simulatedfleet",
    "readings.intervaltotals",
    "readings.classenergy",
]
_SUPPLIERS = [
    "exports.supplier",
    "exports.apikey",
    "exports.sshkey",
    "exports.pushtarget",
    "exports.webhook",
    "exports.supplierperson",
]
_USERS = ["auth.user", "auth.group"]


def _permissions(actions: Iterable[str], models: Iterable[str]) -> set[str]:
    """Return names such as ``exports.view_supplier`` for every action on every model."""
    pairs = [model.split(".") for model in models]
    return {f"{app}.{action}_{model}" for app, model in pairs for action in actions}


_VIEWER = _permissions(["view"], [*_HISTORY, *_SUPPLIERS])
_OPERATOR = _VIEWER | {
    "exports.add_filerequest",
    "exports.change_filerequest",
    "exports.change_delivery",
}
_ADMINISTRATOR = (
    _OPERATOR
    | _permissions(["add", "change", "delete"], _SUPPLIERS)
    | _permissions(["view", "add", "change", "delete"], _USERS)
)

ROLES: dict[str, set[str]] = {
    "viewer": _VIEWER,
    "operator": _OPERATOR,
    "administrator": _ADMINISTRATOR,
}
"""The permissions of each role, as ``<app>.<action>_<model>``."""


def apply_roles(sender: AppConfig, *, using: str, apps: Apps = installed_apps, **_: Any) -> None:
    """Create missing roles and add missing permissions; a receiver of ``post_migrate``.

    ``flush`` empties the tables of roles and permissions, then sends the signal too, without ``apps``.

    Does nothing while the tables of a role's models do not exist, as after ``migrate exports zero``.
    """
    labels = sorted({name.partition(".")[0] for name in _ADMINISTRATOR})
    try:
        configs = [apps.get_app_config(label) for label in labels]
        group_model = apps.get_model("auth", "Group")
        permission_model = apps.get_model("auth", "Permission")
    except LookupError:
        return
    for config in configs:
        # Django creates permissions in the same signal, but for some of these apps only later.
        create_permissions(
            installed_apps.get_app_config(config.label), verbosity=0, using=using, apps=apps
        )
    by_name = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in permission_model.objects.using(using)
        .filter(content_type__app_label__in=labels)
        .select_related("content_type")
    }
    for role, names in ROLES.items():
        group, _created = group_model.objects.using(using).get_or_create(name=role)
        group.permissions.add(*(by_name[name] for name in sorted(names)))
