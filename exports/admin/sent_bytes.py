"""The column of the admin with the bytes that a download or an SFTP session has sent."""

from __future__ import annotations

from django.contrib import admin

from exports.models import FileFetch, SftpSession
from exports.templatetags.file_size import file_size


class SentBytes:
    """Adds the column ``sent``."""

    @admin.display(description="sent", ordering="bytes_sent")
    def sent(self, obj: FileFetch | SftpSession) -> str:
        """Return the size with its unit, as the portal shows it."""
        return file_size(obj.bytes_sent)
