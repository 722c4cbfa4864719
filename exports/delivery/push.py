"""The push: upload a completed file to the supplier's own SFTP server.

The file appears there complete under its final name, or not at all.
"""

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
from exports.delivery.audited_file import open_file
from exports.models import FileRequest, PushTarget, Supplier

CONNECT_TIMEOUT = 15
"""Seconds until the server accepts the connection, and until it accepts the login."""
ANSWER_TIMEOUT = 60
"""Seconds until the server answers one SFTP request."""
_BLOCK_BYTES = 256 * 1024
# A host key of type ssh-rsa also signs with SHA-2.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


class PushError(Exception):
    """The upload or the connection failed. The message says why."""


def private_key(supplier: Supplier) -> str:
    """Return the deployment's private key for the supplier's server, as PEM; create it at first use."""
    name = f"{settings.SECRETS_PREFIX}/push/{supplier.name}/private_key"
    return str(settings.SECRETS.get_or_make(name, new_private_key))


def public_key(supplier: Supplier) -> str:
    """Return the line that the supplier adds to its authorized_keys."""
    return f"{public_key_of(private_key(supplier))} headend"


def push(request: FileRequest, target: PushTarget, *, check: Callable[[], None]) -> str:
    """Upload a completed request's file and return what happened, in a sentence.

    Upload under a temporary name, verify checksum and size, then rename. If the file is already
    there, an earlier attempt uploaded it but could not record that, so it is not sent again.
    ``check`` is called after each block and raises if the lease is lost.
    Raises :class:`PushError`, ``FileMissingError`` and what ``check`` raises.
    """
    folder_name, _, name = request.location.partition("/")
    with _connection(target, request.supplier) as sftp:
        folder = f"{target.folder.rstrip('/') or '/'}/{folder_name}"
        _make_folder(sftp, folder)
        final_path = f"{folder}/{name}"
        if _size(sftp, final_path) == request.size:
            return "The file was already there."
        temporary_path = f"{folder}/.{name}.part"
        _upload(sftp, request, temporary_path, check)
        _rename(sftp, temporary_path, final_path)
    return f"Uploaded {request.size} bytes to {final_path}."


def test_connection(target: PushTarget) -> str:
    """Log in, list the target's folder and return what happened, in a sentence. Raises :class:`PushError`."""
    with _connection(target, target.supplier) as sftp:
        sftp.listdir(target.folder)
    return f"Logged in, and the folder {target.folder} exists."


@contextmanager
def _connection(target: PushTarget, supplier: Supplier) -> Iterator[paramiko.SFTPClient]:
    """Connect and log in. Errors of SSH and of the network, in the block too, are raised as :class:`PushError`."""
    try:
        key = paramiko.RSAKey.from_private_key(io.StringIO(private_key(supplier)))
        connection = socket.create_connection((target.host, target.port), CONNECT_TIMEOUT)
        with connection, paramiko.Transport(connection) as transport:
            transport.banner_timeout = transport.auth_timeout = CONNECT_TIMEOUT
            key_type = target.host_key.split()[0]
            transport.get_security_options().key_types = _ALGORITHMS.get(key_type, (key_type,))
            transport.start_client(timeout=CONNECT_TIMEOUT)
            _verify_host_key(target, transport.get_remote_server_key())
            transport.auth_publickey(target.user, key)
            sftp = paramiko.SFTPClient.from_transport(transport)
            if sftp is None:
                raise PushError("The server does not offer SFTP.")
            with sftp:
                channel = sftp.get_channel()
                if channel is not None:
                    channel.settimeout(ANSWER_TIMEOUT)
                yield sftp
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise PushError(f"{str(error) or type(error).__name__}.") from error


def _verify_host_key(target: PushTarget, received: paramiko.PKey) -> None:
    line = f"{received.get_name()} {received.get_base64()}"
    if line != target.host_key:
        raise PushError(
            f"The server has the host key {fingerprint(line)}, not the expected "
            f"{fingerprint(target.host_key)}. Nothing was sent."
        )


def _make_folder(sftp: paramiko.SFTPClient, path: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(sftp.stat(path).st_mode or 0):
            return
    sftp.mkdir(path)


def _size(sftp: paramiko.SFTPClient, path: str) -> int | None:
    try:
        return sftp.stat(path).st_size
    except FileNotFoundError:
        return None


def _upload(
    sftp: paramiko.SFTPClient, request: FileRequest, path: str, check: Callable[[], None]
) -> None:
    sha256 = hashlib.sha256()
    with open_file(request) as file, sftp.open(path, "wb") as remote:
        remote.set_pipelined(True)
        while block := file.read(_BLOCK_BYTES):
            sha256.update(block)
            remote.write(block)
            check()
    if sha256.hexdigest() != request.sha256:
        raise PushError("The stored file does not have the checksum of the published file.")
    if (arrived := _size(sftp, path)) != request.size:
        raise PushError(f"Only {arrived} of {request.size} bytes arrived.")


def _rename(sftp: paramiko.SFTPClient, temporary_path: str, final_path: str) -> None:
    try:
        sftp.posix_rename(temporary_path, final_path)
    except OSError:
        # The server does not support OpenSSH's extension. A plain rename does not replace a file.
        with suppress(FileNotFoundError):
            sftp.remove(final_path)
        sftp.rename(temporary_path, final_path)
