"""gunicorn's settings. No preload: Polars must not be loaded before a process forks."""

from __future__ import annotations

from headend.config import environment as env

bind = f"{env.text('HEADEND_HOST', '127.0.0.1')}:{env.whole('HEADEND_PORT', 8000, least=1, most=65535)}"
worker_class = "headend.http.gunicorn_worker.JSONErrorWorker"
workers = env.whole("WEB_WORKERS", 2, least=1, most=64)
threads = env.whole("WEB_THREADS", 4, least=1, most=64)
timeout = 120
graceful_timeout = 4
keepalive = 5
limit_request_line = 8190
loglevel = "warning"
# The socket lies in the user's home, where two deployments would share it.
control_socket_disable = True
