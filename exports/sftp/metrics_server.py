"""The HTTP server of an SFTP process's own metrics.

It runs in the same process as the SFTP server. So it limits the threads and the time that its clients use.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

log = logging.getLogger(__name__)

MAX_REQUESTS = 8
"""The server handles this many requests at once, each in a thread. It refuses further ones."""
REQUEST_SECONDS = 5.0
"""A request must be complete, with its response, within this time after its connection."""
_PAUSE_SECONDS = 0.1
"""How long the server waits after it could not accept a connection. Without a pause, the same error follows at once."""


def start_metrics_server(host: str, port: int) -> MetricsServer:
    """Serve the metrics of this process in a thread. Raises ``OSError`` if the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server_class = type("MetricsServer", (MetricsServer,), {"address_family": family})
    server: MetricsServer = make_server(host, port, make_wsgi_app(), server_class, _Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class MetricsServer(ThreadingWSGIServer):
    """prometheus_client's server, with a limit of requests and a deadline for each of them."""

    request_queue_size = 128
    """How many connections can wait until the server accepts or refuses them. Python's default of 5 is too small."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._deadlines: dict[Any, float] = {}
        super().__init__(*args, **options)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_PAUSE_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a request in a thread, or refuse it."""
        try:
            if len(self._deadlines) < MAX_REQUESTS:
                self._deadlines[request] = time.monotonic() + REQUEST_SECONDS
                super().process_request(request, client_address)
                return
        except RuntimeError:
            # The system allows no more threads.
            self._deadlines.pop(request, None)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a request in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._deadlines.pop(request, None)

    def service_actions(self) -> None:
        """Disconnect clients whose request is overdue. The server calls this at least every half second."""
        now = time.monotonic()
        for request, deadline in list(self._deadlines.items()):
            if now > deadline:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error of one request, for example that its client has disconnected."""
        log.debug("a request for metrics was not completed", exc_info=True)


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log nothing."""
