"""OpenSSH's extension for host keys: a server announces its keys, and a client adds them to its known_hosts.

OpenSSH's file PROTOCOL describes its two messages. With ``hostkeys-00@openssh.com``, the server names its keys. With
``hostkeys-prove-00@openssh.com``, the client asks the server to prove that it has the private keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST, cMSG_REQUEST_SUCCESS

_ANNOUNCEMENT = "hostkeys-00@openssh.com"
PROOF_REQUEST = b"hostkeys-prove-00@openssh.com"
_RSA_ALGORITHM = "rsa-sha2-512"


def announcement(keys: Sequence[paramiko.PKey]) -> paramiko.Message:
    """Return the message that names all host keys. Clients may delete other keys of this server from known_hosts."""
    message = paramiko.Message()
    message.add_byte(cMSG_GLOBAL_REQUEST)
    message.add_string(_ANNOUNCEMENT)
    # The client does not have to answer.
    message.add_boolean(b=False)
    for key in keys:
        message.add_string(key.asbytes())
    return message


def proof(
    keys: Sequence[paramiko.PKey], request: paramiko.Message, session_id: bytes, host_key_type: str
) -> paramiko.Message | None:
    """Return the answer to a request for proof: one signature of the session for each key.

    Return None if the request names another key. ``host_key_type`` is the algorithm that this session
    uses: a client expects it for signatures with RSA.
    """
    unproved = {key.asbytes(): key for key in keys}
    answer = paramiko.Message()
    answer.add_byte(cMSG_REQUEST_SUCCESS)
    while request.get_remainder():
        blob = request.get_binary()
        key = unproved.pop(blob, None)
        if key is None:
            return None
        signed = paramiko.Message()
        for part in (PROOF_REQUEST, session_id, blob):
            signed.add_string(part)
        algorithm = None
        if isinstance(key, paramiko.RSAKey):
            algorithm = host_key_type if host_key_type.startswith("rsa-sha2-") else _RSA_ALGORITHM
        signature = key.sign_ssh_data(signed.asbytes(), algorithm)
        answer.add_string(signature.asbytes())
    return answer
