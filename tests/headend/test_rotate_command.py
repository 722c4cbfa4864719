"""``manage.py rotate`` replaces keys, says what to do next, and prints no secret."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from exports import credentials
from exports.delivery import push_keys, webhook
from exports.models import ApiKey, PushTarget, SshKey, Supplier, Webhook
from exports.sftp.host_keys import host_keys, known_hosts_lines, next_host_keys
from exports.suppliers.authentication import find_supplier
from exports.suppliers.hand_over import create_api_key, create_key_pair
from headend.config.command_lock import ROTATE, one_at_a_time
from headend.config.secrets import FileSecrets
from headend.deployment import bootstrap


@pytest.fixture
def secrets(db: None, settings: Settings, tmp_path: Path) -> FileSecrets:
    """The secrets of a deployment that was set up."""
    settings.HEADEND_HOME = tmp_path
    store = settings.SECRETS = FileSecrets(tmp_path / "secrets")
    settings.HEADEND_SECRET_KEY = ""
    bootstrap.ensure_default_supplier()
    return store


@pytest.fixture
def supplier(secrets: FileSecrets) -> Supplier:
    """The default supplier."""
    return Supplier.objects.get(name="sftp-user")


@pytest.fixture
def connected(supplier: Supplier) -> Supplier:
    """The default supplier, with a webhook and a push target."""
    Webhook.objects.create(supplier=supplier, url="https://supplier.example")
    PushTarget.objects.create(supplier=supplier, host="supplier.example", user="headend")
    return supplier


def rotate(*words: str) -> str:
    """Run the command, and return what it prints. No secret is in it."""
    output = io.StringIO()
    call_command("rotate", *words, stdout=output)
    assert "PRIVATE KEY" not in output.getvalue()
    assert "whsec_" not in output.getvalue()
    return output.getvalue()


def test_the_old_api_key_stays_valid_unless_it_is_revoked_at_once(
    secrets: FileSecrets, supplier: Supplier
) -> None:
    name = bootstrap.api_key_secret()
    keys = [str(secrets.get(name))]
    printed = rotate("api-key")
    keys.append(str(secrets.get(name)))
    assert (
        f"The old one, {credentials.prefix(keys[0])}…, stays valid until you revoke it" in printed
    )
    assert [find_supplier(key) is not None for key in keys] == [True, True]
    added_in_the_portal = create_api_key(supplier, "billing")
    printed = rotate("api-key", "--now", "--yes")
    keys.append(str(secrets.get(name)))
    assert [find_supplier(key) is not None for key in keys] == [False, False, True]
    assert find_supplier(added_in_the_portal) is not None
    assert not any(key in printed for key in keys)
    assert bootstrap.ensure_default_supplier().api_keys.count() == 4


def test_the_old_ssh_key_stays_valid_unless_it_is_deleted_at_once(
    secrets: FileSecrets, supplier: Supplier
) -> None:
    def stored() -> str:
        private_key = str(secrets.get(bootstrap.private_key_secret()))
        return credentials.fingerprint(credentials.public_key_of(private_key))

    first = stored()
    assert first in rotate("ssh-key")
    second = stored()
    added_in_the_portal = create_key_pair(supplier, "billing").ssh_key.fingerprint
    assert {first, second} < set(SshKey.objects.values_list("fingerprint", flat=True))
    rotate("ssh-key", "--now", "--yes")
    fingerprints = set(SshKey.objects.values_list("fingerprint", flat=True))
    assert fingerprints == {added_in_the_portal, stored()}


def test_a_rotation_that_fails_at_any_step_leaves_the_stored_key_valid_and_can_be_repeated(
    secrets: FileSecrets, supplier: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = secrets.put

    def fail(name: str, value: str) -> None:
        raise PermissionError("the secrets cannot be written")

    def store_and_end(name: str, value: str) -> None:
        put(name, value)
        raise KeyboardInterrupt

    first_key = str(secrets.get(bootstrap.api_key_secret()))
    for interrupted in (fail, store_and_end):
        monkeypatch.setattr(secrets, "put", interrupted)
        for kind in ("api-key", "ssh-key"):
            with pytest.raises((PermissionError, KeyboardInterrupt)):
                rotate(kind, "--now", "--yes")
        assert find_supplier(str(secrets.get(bootstrap.api_key_secret()))) is not None
        stored = credentials.public_key_of(str(secrets.get(bootstrap.private_key_secret())))
        assert supplier.ssh_keys.filter(fingerprint=credentials.fingerprint(stored)).exists()
    assert find_supplier(first_key) is not None
    monkeypatch.setattr(secrets, "put", put)
    for kind in ("api-key", "ssh-key"):
        rotate(kind, "--now", "--yes")
    assert supplier.api_keys.filter(revoked_at=None).count() == supplier.ssh_keys.count() == 1


@pytest.mark.parametrize(
    "words",
    [("api-key",), ("ssh-key",), ("webhook", "sftp-user"), ("push-key", "sftp-user")],
    ids=lambda words: words[0],
)
def test_no_transaction_waits_for_the_secrets_store(
    connected: Supplier,
    secrets: FileSecrets,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transactions, put = [], secrets.put

    def recorded(name: str, value: str) -> None:
        # A block that is atomic inside the transaction of the test is a savepoint.
        transactions.append(list(connection.savepoint_ids))
        put(name, value)

    monkeypatch.setattr(secrets, "put", recorded)
    outside = list(connection.savepoint_ids)
    rotate(*words)
    assert transactions
    assert all(each == outside for each in transactions)


@pytest.mark.parametrize("kind", ["api-key", "ssh-key", "secret-key", "host-keys"])
def test_a_rotation_is_refused_while_another_one_runs(
    secrets: FileSecrets, tmp_path: Path, kind: str
) -> None:
    def stored() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in secrets.root.rglob("*") if path.is_file()}

    before = stored()
    with (
        one_at_a_time(ROTATE, tmp_path, connection),
        pytest.raises(CommandError, match=r"is running\. Nothing was changed"),
    ):
        rotate(kind)
    assert stored() == before
    assert ApiKey.objects.count() == SshKey.objects.count() == 1


@pytest.mark.parametrize(("kind", "missing"), [("webhook", "webhook"), ("push-key", "push target")])
def test_a_supplier_without_the_service_has_no_secret_to_rotate(
    supplier: Supplier, secrets: FileSecrets, kind: str, missing: str
) -> None:
    with pytest.raises(CommandError, match=f"SUPPLIER: sftp-user has no {missing}. Add one"):
        rotate(kind, "sftp-user")
    assert not list(secrets.root.rglob(f"*{supplier.name}*"))


def test_a_webhook_and_a_push_target_have_two_secrets_for_some_days(connected: Supplier) -> None:
    supplier = connected
    old_secret, old_key = webhook.signing_secret(supplier), push_keys.private_keys(supplier)
    assert "The old one stays valid until 20" in rotate("webhook", "sftp-user")
    assert webhook.signing_secret(supplier) != old_secret
    printed = rotate("push-key", "sftp-user")
    assert push_keys.public_key(supplier) in printed
    new_key, *others = push_keys.private_keys(supplier)
    assert others == old_key
    assert credentials.public_key_of(new_key) in push_keys.public_key(supplier)
    with pytest.raises(CommandError, match="Add --now to make it invalid at once"):
        rotate("push-key", "sftp-user")
    assert "No old one is still valid" in rotate("push-key", "sftp-user", "--now", "--yes")
    assert len(push_keys.private_keys(supplier)) == 1


def test_the_next_host_keys_are_announced_before_they_are_used(
    secrets: FileSecrets, tmp_path: Path
) -> None:
    first = host_keys()
    before = known_hosts_lines("localhost", 2222)
    printed = rotate("host-keys")
    assert [*host_keys(), *next_host_keys()] == [*first, *next_host_keys()]
    assert len(next_host_keys()) == 2
    assert before in printed
    lines = known_hosts_lines("localhost", 2222).splitlines()
    assert len(lines) == 4
    assert rotate("host-keys") == printed, "a repeated first step changes nothing"
    following = next_host_keys()
    printed = rotate("host-keys", "--finish")
    assert host_keys() == following
    assert next_host_keys() == []
    assert printed.splitlines()[1:] == lines[2:]
    assert (tmp_path / "known_hosts").read_text().splitlines() == lines[2:]
    with pytest.raises(CommandError, match="There are no next host keys"):
        rotate("host-keys", "--finish")
    rotate("host-keys", "--now", "--yes")
    assert not set(map(str, following)) & set(map(str, host_keys()))


@pytest.mark.parametrize("answer", ["yes", ""])
def test_a_rotation_at_once_must_be_confirmed_by_name(
    connected: Supplier, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    supplier = connected
    before = webhook.signing_secret(supplier)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    with pytest.raises(CommandError, match=r"is not webhook sftp-user\. Nothing was changed"):
        rotate("webhook", "sftp-user", "--now")
    assert webhook.signing_secret(supplier) == before
    monkeypatch.setattr("builtins.input", lambda question: "webhook sftp-user")
    rotate("webhook", "sftp-user", "--now")
    assert webhook.signing_secret(supplier) != before


def test_errors_name_what_is_missing_and_what_to_do(
    secrets: FileSecrets, settings: Settings
) -> None:
    with pytest.raises(CommandError, match="there is no supplier 'unknown'"):
        rotate("webhook", "unknown")
    settings.HEADEND_SECRET_KEY = "of the environment"
    with pytest.raises(CommandError, match="Set HEADEND_OLD_SECRET_KEY to its value"):
        rotate("secret-key")
    secrets.path(bootstrap.api_key_secret()).unlink()
    with pytest.raises(Exception, match=r"no secret headend/api_key. Run `python manage.py setup`"):
        rotate("api-key")
    settings.HEADEND_HOME /= "missing"
    with pytest.raises(ImproperlyConfigured, match=r"missing does not exist. Run `python manage"):
        rotate("api-key")
