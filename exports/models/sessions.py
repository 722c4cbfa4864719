"""The SFTP sessions of suppliers, open and closed."""

from __future__ import annotations

from django.db import models

from exports.models.suppliers import Supplier


class SftpSession(models.Model):
    """One SFTP connection on which a supplier has logged in.

    The server updates ``seen_at`` while the session is open. So a session whose server died is
    recognised, although it has no ``ended_at``.
    """

    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="sftp_sessions")
    who = models.CharField(max_length=200, help_text="The fingerprint of the SSH key.")
    peer = models.CharField(max_length=64, help_text="The IP address of the client.")
    bytes_sent = models.BigIntegerField(default=0)
    began_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-began_at"]
        verbose_name = "SFTP session"
        indexes = [
            models.Index(fields=["-began_at"]),
            models.Index(
                fields=["-seen_at"],
                condition=models.Q(ended_at__isnull=True),
                name="sftp_sessions_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.supplier} from {self.peer}"
