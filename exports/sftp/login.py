"""Handles SSH login messages. Only public keys are accepted; a key of an unknown type is refused like a wrong key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    AUTH_SUCCESSFUL,
    DISCONNECT_SERVICE_NOT_AVAILABLE,
    MSG_SERVICE_REQUEST,
    MSG_USERAUTH_REQUEST,
    cMSG_DISCONNECT,
)

from exports.sftp.authentication import ConnectionAuth, LoginRefusedError, UnsupportedKey

MAX_LOGIN_REQUESTS = 30
"""The most login messages of one connection. paramiko closes it after ten refused keys, but counts nothing else."""
TOO_MANY_CONNECTIONS = 12
"""The reason code of RFC 4253 for a connection that is closed because of a limit."""

if TYPE_CHECKING:

    class _AuthHandler(AuthHandler):
        """paramiko's class with the methods that its type stubs do not contain."""

        def _parse_service_request(self, m: paramiko.Message) -> None: ...
        def _parse_userauth_request(self, m: paramiko.Message) -> None: ...
        def _disconnect_no_more_auth(self) -> None: ...
        def _generate_key_from_request(
            self, algorithm: str, keyblob: bytes
        ) -> paramiko.PKey | None: ...
        def _send_auth_result(self, username: str, method: str, result: int) -> None: ...
else:
    _AuthHandler = AuthHandler


class LoginHandler(_AuthHandler):
    """paramiko's handler of login messages, with limits. It says why a client is refused, except for a wrong key."""

    transport: Any
    """paramiko's transport. Its type stubs do not contain the method that sends a message."""

    def __init__(self, transport: paramiko.Transport, auth: ConnectionAuth) -> None:
        super().__init__(transport)
        self._auth = auth
        self._requests = 0

    @property
    def _server_handler_table(self) -> dict[int, Callable[[paramiko.Message], None]]:
        # paramiko also accepts answers of keyboard-interactive: it reads as many as a message announces, up to 2³².
        return {
            MSG_SERVICE_REQUEST: self._parse_service_request,
            MSG_USERAUTH_REQUEST: self._parse_userauth_request,
        }

    def _parse_service_request(self, m: paramiko.Message) -> None:
        if self._is_within_limit():
            super()._parse_service_request(m)

    def _parse_userauth_request(self, m: paramiko.Message) -> None:
        if not self._is_within_limit():
            return
        try:
            super()._parse_userauth_request(m)
        except LoginRefusedError as refusal:
            self._disconnect(DISCONNECT_SERVICE_NOT_AVAILABLE, str(refusal))

    def _is_within_limit(self) -> bool:
        self._requests += 1
        if self._requests <= MAX_LOGIN_REQUESTS:
            return True
        self._disconnect_no_more_auth()
        return False

    def _generate_key_from_request(self, algorithm: str, keyblob: bytes) -> paramiko.PKey:
        # paramiko would close the connection for a key that it cannot use, and the client could not try its next key.
        # paramiko does not check the restrictions of certificates, so they are refused.
        if algorithm.endswith("-cert-v01@openssh.com"):
            return UnsupportedKey()
        try:
            return super()._generate_key_from_request(algorithm, keyblob) or UnsupportedKey()
        except Exception:  # paramiko and cryptography raise many kinds of errors for a damaged key
            return UnsupportedKey()

    def _send_auth_result(self, username: str, method: str, result: int) -> None:
        if result == AUTH_SUCCESSFUL:
            refusal = self._auth.log_in()
            if refusal:
                self._disconnect(TOO_MANY_CONNECTIONS, refusal)
                return
        super()._send_auth_result(username, method, result)
        if result == AUTH_SUCCESSFUL:
            self.transport.announce_host_keys()

    def _disconnect(self, code: int, reason: str) -> None:
        """Tell the client why the connection ends, and close it."""
        message = paramiko.Message()
        message.add_byte(cMSG_DISCONNECT)
        message.add_int(code)
        message.add_string(reason)
        message.add_string("en")
        self.transport._send_message(message)
        self.transport.close()
