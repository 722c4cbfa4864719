"""Access that is taken away must end within five seconds, even where it is in use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko

from tests.attack.attack import Outcome, Scale
from tests.attack.target import Target

_DEADLINE_SECONDS = 60.0
_ERRORS = (OSError, EOFError, paramiko.SSHException)
_ATTACKER = "(SELECT id FROM exports_supplier WHERE name = 'attacker')"

Uses = dict[str, Callable[[], bool]]
"""Ways to use an access, and functions that return whether they still work."""


def an_api_key_is_revoked(target: Target, scale: Scale, outcome: Outcome) -> None:
    """An API key is revoked: its calls, and the links that it created."""
    revoke = f"UPDATE exports_apikey SET revoked_at = '{{}}' WHERE label = 'second' AND supplier_id = {_ATTACKER}"
    give_back = revoke.replace("'{}'", "NULL")
    with _changed_back(target, give_back):
        _expect_end(target, scale, outcome, revoke, _over_http(target))


def an_ssh_key_is_deleted(target: Target, scale: Scale, outcome: Outcome) -> None:
    """An SSH key is deleted: its open sessions and handles."""
    delete = f"DELETE FROM exports_sshkey WHERE label = 'second' AND supplier_id = {_ATTACKER}"
    with _over_sftp(target) as uses:
        _expect_end(target, scale, outcome, delete, uses)


def a_supplier_is_deactivated(target: Target, scale: Scale, outcome: Outcome) -> None:
    """A supplier is deactivated: its calls, links, sessions and open handles."""
    change = "UPDATE exports_supplier SET active = {} WHERE name = 'attacker'"
    with _changed_back(target, change.format(1)), _over_sftp(target) as uses:
        _expect_end(target, scale, outcome, change.format(0), uses | _over_http(target))


ATTACKS = [an_api_key_is_revoked, a_supplier_is_deactivated, an_ssh_key_is_deleted]


def _over_http(target: Target) -> Uses:
    url = str(target.file_of(target.second_keys)["download_url"])
    link = url[url.index("/", len("https://")) :]
    return {
        "calls": lambda: target.call("GET", "/readings/files", target.second_keys)[0] == 200,
        "links": lambda: target.call("GET", link)[0] == 200,
    }


@contextmanager
def _over_sftp(target: Target) -> Iterator[Uses]:
    """A session, and a handle in it."""
    with target.sftp(target.second_keys) as transport:
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        folder = f"/{target.attacker.request}"
        file = client.open(f"{folder}/{client.listdir(folder)[0]}")

        def handle_works() -> bool:
            with suppress(*_ERRORS):
                file.seek(0)
                return bool(file.read(1))
            return False

        def session_works() -> bool:
            with suppress(*_ERRORS):
                return bool(client.listdir("/"))
            return False

        yield {"open handles": handle_works, "sessions": session_works}


@contextmanager
def _changed_back(target: Target, statement: str) -> Iterator[None]:
    try:
        yield
    finally:
        with target.database() as database:
            database.execute(statement)


def _expect_end(target: Target, scale: Scale, outcome: Outcome, statement: str, uses: Uses) -> None:
    """Expect that each use works before the change of the database, and ends soon after it."""
    for name, works in uses.items():
        outcome.expect(works(), f"{name} worked before")
    with target.database() as database:
        database.execute(statement.format(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())))
    changed = time.monotonic()
    pending = dict(uses)
    while pending and time.monotonic() - changed < _DEADLINE_SECONDS:
        for name in [name for name, works in pending.items() if not works()]:
            del pending[name]
            seconds = time.monotonic() - changed
            outcome.expect(
                seconds <= scale.revocation_seconds, f"{name} ended after {seconds:.1f} s"
            )
        time.sleep(0.1)
    for name in pending:
        outcome.problems.append(f"{name} still work after {_DEADLINE_SECONDS:.0f} s")
