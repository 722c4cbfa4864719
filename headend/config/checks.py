"""System checks of settings that contradict each other, or that do not fit this machine.

The ids are stable: operators may list them in ``SILENCED_SYSTEM_CHECKS``. Each app checks its own settings
(:mod:`readings.checks`, :mod:`exports.checks`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host

from headend.config.folders import folder_problems
from headend.config.private_files import shared_folders
from headend.config.sftp_limits import SftpLimits
from headend.config.unknown_settings import unknown_settings

TAG = "headend"
"""The tag of the checks that need neither a database nor a network."""


def refuse_wrong_settings() -> None:
    """Raise ``ImproperlyConfigured`` with the first error of the checks that have the tag :data:`TAG`.

    Every process of a deployment calls this before it starts to work. The apps must be loaded.
    """
    for problem in run_checks(tags=[TAG]):
        if problem.is_serious() and not problem.is_silenced():
            hint = f" {problem.hint}" if problem.hint else ""
            raise ImproperlyConfigured(f"{problem.msg}{hint}")


@register(TAG)
def ports_differ(**_: Any) -> list[CheckMessage]:
    """``headend.E001``: the web server and the SFTP server need two ports."""
    if settings.HEADEND_PORT != settings.SFTP_PORT:
        return []
    return [
        Error(
            f"HEADEND_PORT and SFTP_PORT are both {settings.SFTP_PORT}.",
            hint="Set one of them to another port.",
            id="headend.E001",
        )
    ]


@register(TAG)
def suppliers_can_connect(**_: Any) -> list[CheckMessage]:
    """``headend.E004``: clients without a login could use all SFTP connections, so that no supplier could connect."""
    limits: SftpLimits = settings.SFTP_LIMITS
    if limits.connections_without_login < limits.connections:
        return []
    return [
        Error(
            f"SFTP_CONNECTIONS_WITHOUT_LOGIN is {limits.connections_without_login}, "
            f"and SFTP_CONNECTIONS is {limits.connections}.",
            hint="Set SFTP_CONNECTIONS_WITHOUT_LOGIN to a smaller number than SFTP_CONNECTIONS.",
            id="headend.E004",
        )
    ]


@register(TAG)
def folders_are_usable(**_: Any) -> list[CheckMessage]:
    """``headend.E003``: a folder of the deployment cannot be used, or ``setup`` cannot create it."""
    return [Error(sentence, id="headend.E003") for sentence in folder_problems(settings.FOLDERS)]


@register(TAG)
def folders_are_private(**_: Any) -> list[CheckMessage]:
    """``headend.W002``: other users of this machine can read a folder outside ``HEADEND_HOME``."""
    return [
        Warning(
            sentence,
            hint="Run chmod 700 on it, or ignore this warning if you want to share the folder.",
            id="headend.W002",
        )
        for sentence in shared_folders(settings.HEADEND_HOME, settings.FOLDERS)
    ]


@register(TAG)
def public_host_is_allowed(**_: Any) -> list[CheckMessage]:
    """``headend.W001``: the web server would refuse every link of the deployment, such as a download link."""
    host = urlsplit(settings.HEADEND_PUBLIC_URL).hostname or ""
    if validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        return []
    return [
        Warning(
            f"HEADEND_ALLOWED_HOSTS does not contain {host!r}, the host of HEADEND_PUBLIC_URL.",
            hint=f"Add {host} to HEADEND_ALLOWED_HOSTS.",
            id="headend.W001",
        )
    ]


@register(TAG)
def settings_are_known(**_: Any) -> list[CheckMessage]:
    """``headend.W004``: a variable looks like a setting, but no process reads it. Its name is probably misspelt."""
    return [
        Warning(each.problem, hint=each.remedy, id="headend.W004") for each in unknown_settings()
    ]
