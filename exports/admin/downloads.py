"""The admin's lists of downloads and of removed files."""

from __future__ import annotations

from django.contrib import admin

from exports.admin.sent_bytes import SentBytes
from exports.models import FileFetch, FileRemoval, FileRequest
from headend.read_only_admin import ReadOnly


class FileFetchInline(SentBytes, ReadOnly, admin.TabularInline[FileFetch, FileRequest]):
    """The downloads on a file request's page."""

    model = FileFetch
    extra = 0
    fields = ["way", "who", "peer", "sent", "started_at", "ended_at"]


@admin.register(FileFetch)
class FileFetchAdmin(SentBytes, ReadOnly, admin.ModelAdmin[FileFetch]):
    """Each download: who fetched which file, how, from which address, how many bytes, and when."""

    list_display = ["started_at", "way", "supplier", "who", "peer", "sent", "request"]
    list_filter = ["way", "started_at", "request__supplier"]
    search_fields = ["request__id", "request__supplier__name", "who", "peer"]
    date_hierarchy = "started_at"
    list_per_page = 50
    list_select_related = ["request__supplier"]
    fields = ["request", "way", "who", "peer", "sent", "started_at", "ended_at"]

    @admin.display(description="supplier", ordering="request__supplier__name")
    def supplier(self, obj: FileFetch) -> str:
        """Return the supplier whose file it is."""
        return obj.request.supplier.name


class FileRemovalInline(ReadOnly, admin.TabularInline[FileRemoval, FileRequest]):
    """The removal of the file on a file request's page."""

    model = FileRemoval
    fields = ["at", "who", "peer"]


@admin.register(FileRemoval)
class FileRemovalAdmin(ReadOnly, admin.ModelAdmin[FileRemoval]):
    """The files that suppliers removed over SFTP: with which key, from which address, and when."""

    list_display = ["at", "supplier", "who", "peer", "request"]
    list_filter = ["at", "request__supplier"]
    search_fields = ["request__id", "request__supplier__name", "who", "peer"]
    date_hierarchy = "at"
    list_per_page = 50
    list_select_related = ["request__supplier"]
    fields = ["request", "at", "who", "peer"]

    @admin.display(description="supplier", ordering="request__supplier__name")
    def supplier(self, obj: FileRemoval) -> str:
        """Return the supplier that removed its file."""
        return obj.request.supplier.name
