"""What only an SFTP process knows of itself, for Prometheus: on a port of its own, where one is set."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

SESSIONS = Gauge("headend_sftp_sessions", "SFTP sessions that are open in this process.")
SENT_BYTES = Counter("headend_sftp_sent_bytes", "Bytes of files that this process has sent.")
