"""The SFTP server's host keys. They are created at the first start and stored as secrets, so clients can pin them.

A rotation has two steps, because a server can use one key of each type only. :func:`prepare_next` creates the next
keys, which suppliers add to their known_hosts. :func:`use_next` makes them the server's keys.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.conf import settings

from exports.credentials import public_key_of

_CLASSES: dict[str, type[paramiko.PKey]] = {
    "ed25519": paramiko.Ed25519Key,
    "ecdsa": paramiko.ECDSAKey,
    "rsa": paramiko.RSAKey,
}


def host_keys(*, legacy_algorithms: bool = False) -> list[paramiko.PKey]:
    """Return an Ed25519 key, and an RSA key for clients without Ed25519; create missing keys.

    With ``legacy_algorithms`` there is also an ECDSA key. ssh-audit rejects it: it distrusts the origin of NIST's
    curves.
    """
    return [
        _CLASSES[kind].from_private_key(io.StringIO(text))
        for kind, text in _stored_keys(legacy_algorithms=legacy_algorithms).items()
    ]


def next_host_keys(*, legacy_algorithms: bool = False) -> list[paramiko.PKey]:
    """Return the keys that will replace the host keys. The list is empty if no rotation has begun."""
    return [
        _CLASSES[kind].from_private_key(io.StringIO(text))
        for kind, text in _stored_next_keys(legacy_algorithms=legacy_algorithms).items()
    ]


def known_hosts_lines(host: str, port: int) -> str:
    """Return the lines of a client's known_hosts file for this server, each with a line end.

    During a rotation there are lines for the next host keys too.
    """
    name = host if port == 22 else f"[{host}]:{port}"
    legacy = settings.SFTP_LEGACY_ALGORITHMS
    keys = [
        *_stored_keys(legacy_algorithms=legacy).values(),
        *_stored_next_keys(legacy_algorithms=legacy).values(),
    ]
    return "".join(f"{name} {public_key_of(text)}\n" for text in keys)


def prepare_next() -> None:
    """Create the next host keys. Keys of a rotation that has begun are not changed."""
    makers = _makers(legacy_algorithms=settings.SFTP_LEGACY_ALGORITHMS)
    prepared = _stored_next_keys(legacy_algorithms=settings.SFTP_LEGACY_ALGORITHMS)
    for kind in makers.keys() - prepared.keys():
        settings.SECRETS.put(_next_secret(kind), makers[kind]())


def use_next() -> bool:
    """Replace the host keys by the next ones. Return false if there are none."""
    following = _stored_next_keys(legacy_algorithms=settings.SFTP_LEGACY_ALGORITHMS)
    for kind, text in following.items():
        settings.SECRETS.put(_secret(kind), text)
    return bool(following)


def host_key_secrets(*, legacy_algorithms: bool = False) -> list[str]:
    """Return the names of the secrets that hold the host keys."""
    return [_secret(kind) for kind in _makers(legacy_algorithms=legacy_algorithms)]


def _stored_keys(*, legacy_algorithms: bool) -> dict[str, str]:
    """Return the private keys in OpenSSH's format, the preferred one first."""
    return {
        kind: settings.SECRETS.get_or_make(_secret(kind), make)
        for kind, make in _makers(legacy_algorithms=legacy_algorithms).items()
    }


def _stored_next_keys(*, legacy_algorithms: bool) -> dict[str, str]:
    """Return the next keys that are not in use. The secrets of a completed rotation contain the keys in use."""
    stored = {
        kind: settings.SECRETS.get(_next_secret(kind))
        for kind in _makers(legacy_algorithms=legacy_algorithms)
    }
    return {
        kind: text
        for kind, text in stored.items()
        if text is not None and text != settings.SECRETS.get(_secret(kind))
    }


def _makers(*, legacy_algorithms: bool) -> dict[str, Callable[[], str]]:
    makers = {"ed25519": _new_ed25519, "ecdsa": _new_ecdsa, "rsa": _new_rsa}
    if not legacy_algorithms:
        del makers["ecdsa"]
    return makers


def _secret(kind: str) -> str:
    return f"sftp/host_key_{kind}"


def _next_secret(kind: str) -> str:
    return f"sftp/next_host_key_{kind}"


def _new_ed25519() -> str:
    return _openssh_format(ed25519.Ed25519PrivateKey.generate())


def _new_ecdsa() -> str:
    # Every client that supports ECDSA supports this curve.
    return _openssh_format(ec.generate_private_key(ec.SECP256R1()))


def _new_rsa() -> str:
    return _openssh_format(rsa.generate_private_key(public_exponent=65537, key_size=3072))


def _openssh_format(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()
