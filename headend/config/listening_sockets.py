"""Close a listening socket without losing a connection.

When a listening socket is closed, the system resets the connections that it has established and that the process
has not accepted yet. A proxy may have sent a request over such a connection, and must not repeat a POST. So a server
refuses new connections first, then accepts those that exist, and then closes the socket.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
import sys

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 0.2
"""After this time, the connections whose handshake had begun are established."""
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, which Python does not define
_FLAGS_OF_TCP = 13
"""The offset of the flags in a TCP header."""
_SYN, _ACK = 0x02, 0x10
_DROP_NEW_CONNECTIONS = (
    # Instructions of Linux's packet filter: code, jump if true, jump if false, value. See
    # Documentation/networking/filter.rst of Linux.
    (0x30, 0, 0, _FLAGS_OF_TCP),  # load this byte of the packet
    (0x54, 0, 0, _SYN | _ACK),  # keep two flags
    (0x15, 0, 1, _SYN),  # SYN without ACK begins a connection
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # accept the packet
)


def refuse_new_connections(listening: socket.socket) -> None:
    """Tell the system to drop packets that begin a connection to this TCP socket. Handshakes that have begun continue.

    A caller repeats such a packet after a second. By then the socket is closed, so the system refuses the
    connection, and a proxy chooses another server. On systems other than Linux, this function does nothing, and
    a connection can be lost.
    """
    if sys.platform != "linux":
        return
    code = b"".join(struct.pack("HBBI", *each) for each in _DROP_NEW_CONNECTIONS)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(_DROP_NEW_CONNECTIONS), ctypes.addressof(instructions))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    except OSError as error:
        # Some sandboxes have no packet filter.
        log.debug("new connections are not refused", extra={"error": str(error)})
