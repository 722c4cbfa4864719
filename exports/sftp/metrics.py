"""Prometheus metrics of one SFTP process, served on ``SFTP_METRICS_PORT``.

They count what only this process knows. What is in the database is on ``/metrics`` of the web process.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge

SESSIONS = Gauge("headend_sftp_sessions", "SFTP sessions that are open in this process.")
SENT_BYTES = Counter("headend_sftp_sent_bytes", "Bytes of files that this process has sent.")
