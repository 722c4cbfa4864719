"""Django admin of the exports: suppliers, their credentials, file requests and deliveries."""

from django.contrib import admin

from exports.admin.deliveries import (
    DeliveryAdmin,
    DeliveryAttemptAdmin,
    PushTargetAdmin,
    WebhookAdmin,
)
from exports.admin.downloads import FileFetchAdmin, FileRemovalAdmin
from exports.admin.file_requests import FileRequestAdmin
from exports.admin.file_verification import FileVerificationAdmin
from exports.admin.keys import ApiKeyAdmin, SshKeyAdmin
from exports.admin.meter_lists import MeterListAdmin
from exports.admin.parts import ExportPartAdmin
from exports.admin.sftp_sessions import SftpSessionAdmin
from exports.admin.suppliers import SupplierAdmin
from exports.admin.users import RoleAdmin, StaffUserAdmin, SupplierPersonAdmin

__all__ = [
    "ApiKeyAdmin",
    "DeliveryAdmin",
    "DeliveryAttemptAdmin",
    "ExportPartAdmin",
    "FileFetchAdmin",
    "FileRemovalAdmin",
    "FileRequestAdmin",
    "FileVerificationAdmin",
    "MeterListAdmin",
    "PushTargetAdmin",
    "RoleAdmin",
    "SftpSessionAdmin",
    "SshKeyAdmin",
    "StaffUserAdmin",
    "SupplierAdmin",
    "SupplierPersonAdmin",
    "WebhookAdmin",
]

admin.site.site_header = "headend"
admin.site.site_title = "headend"
admin.site.index_title = "Suppliers and their files"
# The header already links to the portal, and the wide tables need the space of the sidebar.
admin.site.site_url = None
admin.site.enable_nav_sidebar = False
