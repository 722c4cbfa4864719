"""Django admin for suppliers, their keys, and the history of file requests."""

from django.contrib import admin

from exports.admin.deliveries import DeliveryAdmin, PushTargetAdmin, WebhookAdmin
from exports.admin.fetches import FileFetchAdmin
from exports.admin.file_requests import FileRequestAdmin
from exports.admin.keys import ApiKeyAdmin, SshKeyAdmin
from exports.admin.suppliers import SupplierAdmin

__all__ = [
    "ApiKeyAdmin",
    "DeliveryAdmin",
    "FileFetchAdmin",
    "FileRequestAdmin",
    "PushTargetAdmin",
    "SshKeyAdmin",
    "SupplierAdmin",
    "WebhookAdmin",
]

admin.site.site_header = "headend"
admin.site.site_title = "headend"
admin.site.index_title = "Suppliers and their files"
# The header links to the operators' page by its name, and the lists need the sidebar's room.
admin.site.site_url = None
admin.site.enable_nav_sidebar = False
