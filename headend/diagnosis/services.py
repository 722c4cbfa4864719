"""Checks of the settings, the message broker, and the secrets."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.checks import WARNING, run_checks

from exports.sftp.host_keys import host_key_secrets
from headend.config.checks import TAG
from headend.config.private_files import is_shared
from headend.config.program import PROGRAM
from headend.config.secrets import FileSecrets
from headend.deployment import bootstrap
from headend.diagnosis.finding import Finding, failed, ok, warning, without_secrets
from readings.engines import without_password

SECRETS_HINT = "Correct SECRETS_URL. Files must belong to the user of the processes; AWS needs secretsmanager:GetSecretValue."
_MAX_NAMES = 3


def check_settings() -> list[Finding]:
    """Run the system checks of the settings and folders."""
    found = []
    for problem in run_checks(tags=[TAG]):
        if problem.is_silenced() or problem.level < WARNING:
            continue
        finding = failed if problem.is_serious() else warning
        found.append(
            finding(
                f"{problem.msg.rstrip('.')} ({problem.id})", problem.hint or "Correct the setting."
            )
        )
    return found or [ok("no problems")]


def check_broker() -> list[Finding]:
    """Connect to the broker as a sender of messages does."""
    problem = bootstrap.broker_problem()
    if problem:
        text, hint = problem
        return [failed(without_secrets(text), hint)]
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("data_folder_out")
    return [ok(f"accepts messages, {folder or without_password(settings.CELERY_BROKER_URL)}")]


def check_secrets() -> list[Finding]:
    """Read each secret that ``setup`` creates. None of them is created or printed."""
    names = [
        bootstrap.api_key_secret(),
        bootstrap.private_key_secret(),
        bootstrap.operator_password_secret(),
        *host_key_secrets(legacy_algorithms=settings.SFTP_LEGACY_ALGORITHMS),
    ]
    missing = [name for name in names if settings.SECRETS.get(name) is None]
    if missing:
        return [
            failed(
                f"missing in {without_password(settings.SECRETS_URL)}: {', '.join(missing)}",
                f"Run `{PROGRAM} setup`, which creates them, or restore the backup of the secrets.",
            )
        ]
    shared = [str(path) for path in sorted(_secrets_folder().rglob("*")) if is_shared(path)]
    if shared:
        return [
            failed(
                f"other users of this host have permissions on {', '.join(shared[:_MAX_NAMES])}",
                "Run chmod -R go= on the folder. Rotate the secrets if others may have read them: docs/operating.md.",
            )
        ]
    return [ok(f"{len(names)} secrets, which only this user can read")]


def _secrets_folder() -> Path:
    """Return the folder of the secrets, or that of the copies if they are in AWS Secrets Manager."""
    store = settings.SECRETS
    return store.root if isinstance(store, FileSecrets) else Path(settings.HEADEND_HOME, "secrets")
