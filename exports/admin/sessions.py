"""Who was connected to the SFTP server, and which private keys were handed over."""

from __future__ import annotations

from django.contrib import admin

from exports.models import KeyHandOver, SftpSession
from headend.read_only_admin import ReadOnly


@admin.register(SftpSession)
class SftpSessionAdmin(ReadOnly, admin.ModelAdmin[SftpSession]):
    """SFTP sessions, as history."""

    list_display = ["began_at", "supplier", "peer", "who", "bytes_sent", "seen_at", "ended_at"]
    list_filter = [("ended_at", admin.EmptyFieldListFilter), "supplier", "began_at"]
    search_fields = ["supplier__name", "who", "peer"]
    date_hierarchy = "began_at"
    list_per_page = 50
    list_select_related = ["supplier"]
    fields = ["supplier", "who", "peer", "bytes_sent", "began_at", "seen_at", "ended_at"]


@admin.register(KeyHandOver)
class KeyHandOverAdmin(ReadOnly, admin.ModelAdmin[KeyHandOver]):
    """Private keys that were made here: for whom, and when they were downloaded. Never the keys."""

    list_display = ["made_at", "supplier", "fingerprint", "taken_at"]
    list_filter = [("taken_at", admin.EmptyFieldListFilter), "supplier"]
    search_fields = ["supplier__name", "fingerprint"]
    date_hierarchy = "made_at"
    list_select_related = ["supplier"]
    fields = ["supplier", "fingerprint", "made_at", "taken_at"]
