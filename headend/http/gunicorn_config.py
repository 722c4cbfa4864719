"""Settings of gunicorn, the web server.

The application is not preloaded: Polars must not be imported before a process forks.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from headend.config import environment as env
from headend.config import web_limits
from headend.config.addresses import with_port
from headend.config.draining import drain_seconds
from headend.config.folders import folder_problems
from headend.config.logs import logging_settings
from headend.config.memory_arenas import limit_memory_arenas
from headend.config.open_files import raise_limit
from headend.config.private_files import create_private_files
from headend.config.unknown_settings import log_unknown_settings
from headend.http.server.open_connections import OpenConnections

try:
    _host = env.text("HEADEND_HOST", "127.0.0.1")
    _port = env.integer("HEADEND_PORT", 8000, minimum=1, maximum=65535)
    _limits = web_limits.from_environment()
    graceful_timeout = drain_seconds()
except ImproperlyConfigured as error:
    # gunicorn would print a traceback.
    sys.exit(f"headend: {error}")
workers, threads = _limits.workers, _limits.threads
worker_connections = _limits.connections
connections_per_address = _limits.connections_per_address
bind = with_port(_host.removeprefix("[").removesuffix("]"), _port)
worker_class = "headend.http.gunicorn_worker.BufferingWorker"
timeout = 120
# Longer than proxies keep unused connections (nginx and AWS: 60 s). Otherwise a proxy could send a request over a
# connection that is being closed.
keepalive = 75
loglevel = "warning"
logconfig_dict = logging_settings("WARNING")
# The control socket would be in the user's home folder, where two deployments would share it.
control_socket_disable = True
_open_connections = OpenConnections()


def on_starting(server: Any) -> None:
    """End with one line if a setting is wrong or a folder cannot be used. Workers would print tracebacks.

    Log the unknown settings: each worker would repeat them.
    """
    raise_limit()
    limit_memory_arenas()
    create_private_files()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
    from django.conf import settings

    try:
        problems = folder_problems(settings.FOLDERS)
    except ImproperlyConfigured as error:
        problems = [str(error)]
    if problems:
        sys.exit(f"headend: {problems[0]}")
    log_unknown_settings()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the new process a count of its open connections."""
    worker.count = _open_connections.new_count(each.count for each in server.WORKERS.values())


def child_exit(_: Any, worker: Any) -> None:
    """Forget the connections of a process that has ended."""
    if worker.count is not None:
        worker.count.clear()
