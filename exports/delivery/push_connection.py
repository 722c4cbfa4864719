"""The SFTP connection to a supplier's own server, with the server's own words in every error."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paramiko
from paramiko.sftp import SFTP_DESC, SFTP_EOF, SFTP_NO_SUCH_FILE, SFTP_OK

from exports.credentials import fingerprint
from exports.delivery.push_error import PushError
from exports.models import PushTarget
from exports.ssh_transport import NIST_CURVES, StrongTransport
from headend.config.deadline import Deadline, open_connection

LOGIN_TIMEOUT = 30
"""Seconds from the resolution of the server's name until the login is complete and SFTP has started."""
ANSWER_TIMEOUT = 60
"""Seconds until the server accepts one SFTP request, and until it answers it completely."""
MAX_MESSAGE_LENGTH = 200
"""A server's message is cut to this many characters, so that an outcome has space for the rest of the sentence."""
# A host key of type ssh-rsa also signs with SHA-2.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


_PARAMIKO_CLIENT: Any = paramiko.SFTPClient
"""paramiko's class, with the methods that its type stubs do not contain."""


class RefusedError(Exception):
    """The server refused one SFTP request. The message is the server's own.

    It is not an ``OSError``, because paramiko ignores those when it closes a file. Some servers refuse a file only when
    it is closed.
    """

    def __init__(self, code: int, message: bytes) -> None:
        self.is_missing = code == SFTP_NO_SUCH_FILE
        """Whether the file or folder does not exist."""
        known = SFTP_DESC[code] if code < len(SFTP_DESC) else f"status {code}"
        super().__init__(printable(message).rstrip(".") or known)


class PushClient(paramiko.SFTPClient):
    """paramiko's SFTP client. A refused request raises :class:`RefusedError`, and each request has a deadline."""

    deadline: Deadline | None = None
    """The deadline of the current request. Each request that is sent, and each complete answer, restarts it.

    None until the login is complete.
    """

    def _send_packet(self, t: int, packet: Any) -> None:
        self._restart_deadline()
        _PARAMIKO_CLIENT._send_packet(self, t, packet)

    def _read_packet(self) -> Any:
        packet = _PARAMIKO_CLIENT._read_packet(self)
        self._restart_deadline()
        return packet

    def _restart_deadline(self) -> None:
        if self.deadline is not None:
            self.deadline.restart(
                ANSWER_TIMEOUT, f"The server did not answer within {ANSWER_TIMEOUT:g} s."
            )

    def _convert_status(self, msg: paramiko.Message) -> None:
        # paramiko's own method fails if the text is not UTF-8, even if the status is OK.
        code, text = msg.get_int(), msg.get_binary()
        if code == SFTP_EOF:
            raise EOFError
        if code != SFTP_OK:
            raise RefusedError(code, text)


class _Transport(StrongTransport):
    """A connection that keeps the server's message about its end or about a refused login."""

    # Some servers of suppliers offer no other key exchange. These come last, so other servers are not affected.
    _preferred_kex = (
        *StrongTransport._preferred_kex,
        *NIST_CURVES,
        "diffie-hellman-group-exchange-sha256",
    )
    server_message: bytes | str = b""

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        m.get_int()
        self.server_message = m.get_binary()


def printable(text: bytes | str, limit: int = MAX_MESSAGE_LENGTH) -> str:
    """Return a server's text in one line, without control characters, cut to ``limit`` characters."""
    decoded = _decoded(text) if isinstance(text, bytes) else text
    words = "".join(char if char.isprintable() else " " for char in decoded).split()
    line = " ".join(words)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        # SFTP requires UTF-8, but some servers send text in their system's encoding.
        return text.decode("latin-1")


@contextmanager
def connect(
    target: PushTarget,
    private_keys: Sequence[str],
    *,
    seconds: float,
    check: Callable[[], None] | None = None,
) -> Iterator[PushClient]:
    """Log in with the first of ``private_keys`` (PEM) that the server accepts, and yield the SFTP client.

    Nothing takes longer than ``seconds`` in total. The connection is cut when ``check`` raises.

    Errors of SSH and of the network, in the block too, are raised as :class:`PushError`.
    """
    server_text = ""
    login_message = f"The login took longer than {LOGIN_TIMEOUT:g} s."
    with Deadline(LOGIN_TIMEOUT, login_message, check=check) as deadline:
        deadline.limit(seconds, f"The connection took longer than {seconds:.0f} s.")
        try:
            keys = [paramiko.RSAKey.from_private_key(io.StringIO(key)) for key in private_keys]
            for number, key in enumerate(keys, start=1):
                connection = open_connection(target.host, target.port, deadline)
                with connection, _Transport(connection) as transport:
                    try:
                        # For a second key, paramiko requests the login service again, which some servers refuse.
                        if _log_in(transport, target, key, is_last=number == len(keys)):
                            yield from _sftp_client(transport, deadline)
                            return
                    finally:
                        server_text = printable(transport.server_message).rstrip(".")
        except RefusedError as error:
            raise PushError(f"The server says: {error}.") from error
        except (paramiko.SSHException, OSError, EOFError, UnicodeError) as error:
            if deadline.is_over:
                raise PushError(deadline.message) from error
            # The text of an OSError begins with its number, which tells an operator nothing.
            text = (isinstance(error, OSError) and error.strerror) or str(error)
            reason = printable(text).rstrip(".") or type(error).__name__
            raise PushError(
                f"{reason}. The server says: {server_text}." if server_text else f"{reason}."
            ) from error


def _log_in(
    transport: _Transport, target: PushTarget, key: paramiko.PKey, *, is_last: bool
) -> bool:
    """Verify the host key and log in. Return false if the server refuses a key that is not the last one.

    Raises :class:`PushError` and paramiko's errors.
    """
    # paramiko's own timeouts do not limit every step. These are no shorter than the deadline, which does.
    transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = LOGIN_TIMEOUT
    key_type = target.host_key.split()[0]
    transport.get_security_options().key_types = _ALGORITHMS.get(key_type, (key_type,))
    transport.start_client(timeout=LOGIN_TIMEOUT)
    _verify_host_key(target, transport.get_remote_server_key())
    try:
        transport.auth_publickey(target.user, key)
    except paramiko.AuthenticationException:
        transport.server_message = transport.server_message or transport.get_banner() or b""
        if is_last:
            raise
        return False
    return True


def _sftp_client(transport: _Transport, deadline: Deadline) -> Iterator[PushClient]:
    sftp = PushClient.from_transport(transport)
    if not isinstance(sftp, PushClient):
        raise PushError("The server does not offer SFTP.")
    with sftp:
        sftp.deadline = deadline
        yield sftp


def _verify_host_key(target: PushTarget, received: paramiko.PKey) -> None:
    line = f"{received.get_name()} {received.get_base64()}"
    if line != target.host_key:
        raise PushError(
            f"The server has the host key {fingerprint(line)}, not the expected "
            f"{fingerprint(target.host_key)}. Nothing was sent."
        )
