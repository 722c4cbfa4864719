"""Who is, and was, connected to the SFTP server."""

from __future__ import annotations

from django.db import models

from exports.models.suppliers import Supplier


class SftpSession(models.Model):
    """One connection on which a supplier logged in. Its process renews it, so that one whose process died is told."""

    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="sftp_sessions")
    who = models.CharField(max_length=200, help_text="The key's fingerprint.")
    peer = models.CharField(max_length=64, help_text="The address it came from.")
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
