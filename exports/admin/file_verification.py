"""The admin's page of the lease for the verification of stored files."""

from __future__ import annotations

from django.contrib import admin

from exports.models import FileVerification
from headend.read_only_admin import ReadOnly


@admin.register(FileVerification)
class FileVerificationAdmin(ReadOnly, admin.ModelAdmin[FileVerification]):
    """Whether a worker verifies stored files now, and how many runs there were. The table has one row."""

    list_display = ["__str__", "attempts", "leased_until"]
    fields = ["attempts", "leased_until"]
