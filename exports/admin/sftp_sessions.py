"""The admin's list of SFTP sessions."""

from __future__ import annotations

from django.contrib import admin

from exports.admin.sent_bytes import SentBytes
from exports.models import SftpSession
from headend.read_only_admin import ReadOnly


@admin.register(SftpSession)
class SftpSessionAdmin(SentBytes, ReadOnly, admin.ModelAdmin[SftpSession]):
    """SFTP sessions, open and ended."""

    list_display = ["began_at", "supplier", "peer", "who", "sent", "seen_at", "ended_at"]
    list_filter = [("ended_at", admin.EmptyFieldListFilter), "supplier", "began_at"]
    search_fields = ["supplier__name", "who", "peer"]
    date_hierarchy = "began_at"
    list_per_page = 50
    list_select_related = ["supplier"]
    fields = ["supplier", "who", "peer", "sent", "began_at", "seen_at", "ended_at"]
