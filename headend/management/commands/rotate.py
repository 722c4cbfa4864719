"""``manage.py rotate``: replace a key or a secret of the deployment by a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connection

from exports.delivery import push_keys, webhook
from exports.models import PushTarget, Supplier, Webhook
from exports.sftp import host_keys
from headend.config import rotation, signing_keys
from headend.config.command_lock import ROTATE, InUseError, one_at_a_time
from headend.config.program import PROGRAM
from headend.deployment import key_rotation, outputs
from headend.management.typed_confirmation import confirm_by_typing
from readings.management.help_formatter import CommandWithExamples, ExampleFormatter

_DAYS = rotation.OVERLAP.days


class Command(CommandWithExamples):
    """Rotates one key or secret. No secret is printed."""

    help = (
        "Replace a key or a secret by a new one. The old one stays valid for some time, so that the other side can change to the "
        "new one; with --now it becomes invalid at once. Secrets are not printed. docs/operating.md says how to change "
        "other secrets: passwords, keys of other suppliers, and credentials of services.\n"
        "Examples:\n"
        f"  {PROGRAM} rotate webhook energy-data-ltd\n"
        f"  {PROGRAM} rotate api-key --now\n"
        f"  {PROGRAM} rotate host-keys"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add a subcommand for each kind."""
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
        for name, kind in _KINDS.items():
            added = kinds.add_parser(
                name, help=kind.line, description=kind.description, formatter_class=ExampleFormatter
            )
            if kind.has_supplier:
                added.add_argument("supplier", metavar="SUPPLIER", help="the name of the supplier")
            when = added.add_mutually_exclusive_group()
            when.add_argument("--now", action="store_true", help=kind.now)
            if name == "host-keys":
                when.add_argument(
                    "--finish",
                    action="store_true",
                    help="second step: make the next keys the keys of the server",
                )
            added.add_argument(
                "--yes", action="store_true", help="with --now: do it without asking"
            )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate, and say what to do next."""
        kind = _KINDS[options["kind"]]
        supplier = _supplier(options["supplier"]) if kind.has_supplier else None
        name = f"{options['kind']} {supplier}" if supplier else options["kind"]
        if options["now"] and not options["yes"]:
            confirm_by_typing(
                name,
                warning="With --now, the old value becomes invalid at once.",
                unchanged="Nothing was changed.",
            )
        arguments = _Arguments(supplier, now=options["now"], finish=options.get("finish", False))
        try:
            # Two rotations at the same time would create two valid keys, and store only one of them.
            with one_at_a_time(ROTATE, settings.HEADEND_HOME, connection):
                self.stdout.write(kind.rotate(arguments))
        except InUseError:
            raise CommandError(
                "Another rotation is running. Nothing was changed. Repeat this command after it has ended."
            ) from None
        except rotation.OverlapError as error:
            raise CommandError(
                f"{error} Nothing was changed. Add --now to make it invalid at once."
            ) from None


@dataclass(frozen=True)
class _Arguments:
    """The arguments of a rotation: the supplier, if the kind has one; ``--now``; ``--finish``."""

    supplier: Supplier | None
    now: bool
    finish: bool


@dataclass(frozen=True)
class _Kind:
    """What can be rotated: its line in the list, the description of its ``--help``, and the function that rotates it."""

    line: str
    description: str
    rotate: Callable[[_Arguments], str]
    now: str = "the old one becomes invalid at once: use this if it may have leaked"
    """The help of the option ``--now``."""
    has_supplier: bool = False


def _rotate_api_key(arguments: _Arguments) -> str:
    old = key_rotation.rotate_api_key(at_once=arguments.now)
    state = (
        "and those before it are revoked"
        if arguments.now
        else "stays valid until you revoke it in the admin"
    )
    return f"The API key was replaced. The old one, {old}…, {state}.\n`{PROGRAM} outputs` prints the new one."


def _rotate_ssh_key(arguments: _Arguments) -> str:
    old = key_rotation.rotate_ssh_key(at_once=arguments.now)
    state = (
        "and those before it were deleted"
        if arguments.now
        else "stays valid until you delete it in the admin"
    )
    return f"The SSH key was replaced. The old one, {old}, {state}.\n`{PROGRAM} outputs` names the file of the new one."


def _rotate_webhook(arguments: _Arguments) -> str:
    supplier = _supplier_with(Webhook, arguments, shows="signing secret")
    overlap = _overlap(webhook.rotate_signing_secret(supplier, at_once=arguments.now))
    return (
        f"The signing secret of {supplier} was replaced. {overlap}\n"
        "“Show signing secret” in the admin shows the new one. Give it to the supplier."
    )


def _rotate_push_key(arguments: _Arguments) -> str:
    supplier = _supplier_with(PushTarget, arguments, shows="public key")
    overlap = _overlap(push_keys.rotate_key(supplier, at_once=arguments.now))
    return (
        f"The push key of {supplier} was replaced. {overlap}\n"
        f"Give its public key to the supplier:\n{push_keys.public_key(supplier)}"
    )


def _supplier_with(
    model: type[Webhook | PushTarget], arguments: _Arguments, *, shows: str
) -> Supplier:
    """Return the supplier of the command. Raise ``CommandError`` if it has no webhook or no push target."""
    supplier = arguments.supplier
    assert supplier is not None  # the kind has a supplier
    if not model.objects.filter(supplier=supplier).exists():
        raise CommandError(
            f"SUPPLIER: {supplier} has no {model._meta.verbose_name}. Add one in the admin, which then shows its {shows}."
        )
    return supplier


def _rotate_secret_key(arguments: _Arguments) -> str:
    if settings.HEADEND_SECRET_KEY:
        raise CommandError(
            "HEADEND_SECRET_KEY is set. Set HEADEND_OLD_SECRET_KEY to its value, set HEADEND_SECRET_KEY to another one, "
            "and restart all processes."
        )
    valid_until = signing_keys.rotate(settings.SECRETS, at_once=arguments.now)
    return (
        f"The secret key was replaced. {_overlap(valid_until)}\n"
        "Restart all processes at the same time: a process that still runs does not know the new key."
    )


def _rotate_host_keys(arguments: _Arguments) -> str:
    if not arguments.finish:
        host_keys.prepare_next()
    if not (arguments.now or arguments.finish):
        return (
            "The next host keys exist. Restart the SFTP processes, and send these lines to the suppliers. When they have added "
            f"them, run `{PROGRAM} rotate host-keys --finish`.\n{outputs.write_known_hosts().rstrip()}"
        )
    if not host_keys.use_next():
        raise CommandError(
            f"There are no next host keys. Run `{PROGRAM} rotate host-keys` first, and tell the suppliers."
        )
    return f"The host keys were replaced. Restart the SFTP processes.\n{outputs.write_known_hosts().rstrip()}"


def _overlap(valid_until: datetime | None) -> str:
    if valid_until is None:
        return "No old one is still valid."
    return f"The old one stays valid until {valid_until:%Y-%m-%d %H:%M} UTC."


def _supplier(name: str) -> Supplier:
    try:
        return Supplier.objects.get(name=name)
    except Supplier.DoesNotExist:
        raise CommandError(
            f"SUPPLIER: there is no supplier {name!r}. The portal lists the suppliers."
        ) from None


_KINDS = {
    "api-key": _Kind(
        "the API key of the default supplier",
        "Replace the API key of the default supplier in the secrets. The old key stays valid until you revoke it in the "
        "admin. Other suppliers get another key on their page in the portal.",
        _rotate_api_key,
    ),
    "ssh-key": _Kind(
        "the SSH key of the default supplier",
        "Replace the SSH key of the default supplier in the secrets. The old key stays valid until you delete it in the "
        "admin.",
        _rotate_ssh_key,
    ),
    "webhook": _Kind(
        "the signing secret of a supplier's webhook",
        f"Replace the signing secret of a supplier's webhook. For {_DAYS} days, each call has a signature with the new secret "
        "and one with the old secret. The receiver can change to the new secret at any time in these days.",
        _rotate_webhook,
        has_supplier=True,
    ),
    "push-key": _Kind(
        "the key that logs in to a supplier's SFTP server",
        f"Replace the key that logs in to a supplier's SFTP server, and print its public key. For {_DAYS} days, a push also "
        "tries the old key if the server refuses the new one.",
        _rotate_push_key,
        has_supplier=True,
    ),
    "secret-key": _Kind(
        "Django's secret key, which signs sessions and download links",
        "Replace Django's secret key, which signs sessions and download links. What the old key signed stays valid for "
        f"{_DAYS} days. Then restart all processes.",
        _rotate_secret_key,
        now="sessions and download links become invalid at the restart: use this if the key may have leaked",
    ),
    "host-keys": _Kind(
        "the host keys of the SFTP server, in two steps",
        "Replace the host keys of the SFTP server. The first step creates the next keys and prints the lines of known_hosts, "
        "which suppliers add to their files. OpenSSH clients with UpdateHostKeys learn them from the server. The second step, "
        "--finish, makes them the keys of the server. Restart the SFTP processes after each step.",
        _rotate_host_keys,
        now="both steps at once: clients refuse the server until they know the new keys",
    ),
}
