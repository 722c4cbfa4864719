"""Django admin for suppliers, their keys, and the history of file requests."""

from django.contrib import admin

from exports.admin.deliveries import (
    DeliveryAdmin,
    DeliveryAttemptAdmin,
    PushTargetAdmin,
    WebhookAdmin,
)
from exports.admin.fetches import FileFetchAdmin
from exports.admin.file_requests import FileRequestAdmin
from exports.admin.keys import ApiKeyAdmin, SshKeyAdmin
from exports.admin.parts import ExportPartAdmin
from exports.admin.people import PersonAdmin, SupplierPersonAdmin
from exports.admin.sessions import SftpSessionAdmin
from exports.admin.suppliers import SupplierAdmin

__all__ = [
    "ApiKeyAdmin",
    "DeliveryAdmin",
    "DeliveryAttemptAdmin",
    "ExportPartAdmin",
    "FileFetchAdmin",
    "FileRequestAdmin",
    "PersonAdmin",
    "PushTargetAdmin",
    "SftpSessionAdmin",
    "SshKeyAdmin",
    "SupplierAdmin",
    "SupplierPersonAdmin",
    "WebhookAdmin",
]

admin.site.site_header = "headend"
admin.site.site_title = "headend"
admin.site.index_title = "Suppliers and their files"
# The header has the portal's own links, and the lists need the sidebar's room.
admin.site.site_url = None
admin.site.enable_nav_sidebar = False
