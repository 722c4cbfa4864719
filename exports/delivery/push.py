"""A completed file, brought to a supplier's own SFTP server: whole under its name, or not at all."""

from __future__ import annotations

import hashlib
import io
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko
from django.conf import settings

from exports.credentials import fingerprint, new_private_key, public_key_of
from exports.delivery.files import open_file
from exports.models import FileRequest, PushTarget, Supplier

CONNECT_SECONDS = 15
ANSWER_SECONDS = 60
_CHUNK = 256 * 1024
# An RSA key is pinned as ssh-rsa, and signs with SHA-2 all the same.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


class PushError(Exception):
    """The file could not be brought now; the message says why."""


def private_key(supplier: Supplier) -> str:
    """The key that opens the supplier's server to us, as PEM; made when first asked for."""
    name = f"{settings.SECRETS_PREFIX}/push/{supplier.name}/private_key"
    return str(settings.SECRETS.get_or_make(name, new_private_key))


def public_key(supplier: Supplier) -> str:
    """What the supplier writes into its authorized_keys."""
    return f"{public_key_of(private_key(supplier))} headend"


def push(request: FileRequest, target: PushTarget, *, check: Callable[[], None]) -> str:
    """Upload under a temporary name, verify, rename; says what came of it.

    A file that is there already, as it is after a try whose end was not heard of, is left alone.
    Raises :class:`PushError`, ``FileMissingError`` and what ``check`` raises between chunks.
    """
    folder, _, name = request.location.partition("/")
    try:
        with _session(target, private_key(request.supplier)) as sftp:
            place = f"{target.folder.rstrip('/') or '/'}/{folder}"
            _make_folder(sftp, place)
            if _size(sftp, f"{place}/{name}") == request.size:
                return "The file was there already."
            aside = f"{place}/.{name}.part"
            _upload(sftp, request, aside, check)
            _rename(sftp, aside, f"{place}/{name}")
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise PushError(f"{str(error) or type(error).__name__}.") from error
    return f"{request.size} bytes under {place}/{name}."


def try_out(target: PushTarget) -> str:
    """Log in and look into the folder; says what came of it. Raises :class:`PushError`."""
    try:
        with _session(target, private_key(target.supplier)) as sftp:
            sftp.listdir(target.folder)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise PushError(f"{str(error) or type(error).__name__}.") from error
    return f"Logged in, and {target.folder} is there."


@contextmanager
def _session(target: PushTarget, key: str) -> Iterator[paramiko.SFTPClient]:
    connection = socket.create_connection((target.host, target.port), CONNECT_SECONDS)
    with connection, paramiko.Transport(connection) as transport:
        transport.banner_timeout = transport.auth_timeout = CONNECT_SECONDS
        kind = target.host_key.split()[0]
        transport.get_security_options().key_types = _ALGORITHMS.get(kind, (kind,))
        transport.start_client(timeout=CONNECT_SECONDS)
        _refuse_others(target, transport.get_remote_server_key())
        transport.auth_publickey(target.user, paramiko.RSAKey.from_private_key(io.StringIO(key)))
        sftp = paramiko.SFTPClient.from_transport(transport)
        if sftp is None:
            raise PushError("There is no SFTP.")
        with sftp:
            channel = sftp.get_channel()
            if channel is not None:
                channel.settimeout(ANSWER_SECONDS)
            yield sftp


def _refuse_others(target: PushTarget, shown: paramiko.PKey) -> None:
    line = f"{shown.get_name()} {shown.get_base64()}"
    if line != target.host_key:
        raise PushError(
            f"The server shows the host key {fingerprint(line)}, not the pinned "
            f"{fingerprint(target.host_key)}; nothing was sent."
        )


def _make_folder(sftp: paramiko.SFTPClient, place: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(sftp.stat(place).st_mode or 0):
            return
    sftp.mkdir(place)


def _size(sftp: paramiko.SFTPClient, path: str) -> int | None:
    try:
        return sftp.stat(path).st_size
    except FileNotFoundError:
        return None


def _upload(
    sftp: paramiko.SFTPClient, request: FileRequest, aside: str, check: Callable[[], None]
) -> None:
    sha256 = hashlib.sha256()
    with open_file(request) as file, sftp.open(aside, "wb") as remote:
        remote.set_pipelined(True)
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            remote.write(chunk)
            check()
    if sha256.hexdigest() != request.sha256:
        raise PushError("The file that was read is not the one that was published.")
    if (arrived := _size(sftp, aside)) != request.size:
        raise PushError(f"{arrived} of {request.size} bytes arrived.")


def _rename(sftp: paramiko.SFTPClient, aside: str, final: str) -> None:
    try:
        sftp.posix_rename(aside, final)
    except OSError:
        # A server without OpenSSH's extension: its own rename does not replace what is there.
        with suppress(FileNotFoundError):
            sftp.remove(final)
        sftp.rename(aside, final)
