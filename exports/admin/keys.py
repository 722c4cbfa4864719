"""The admin's pages of API keys and SSH keys."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet, ModelForm, Textarea
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from exports import credentials
from exports.admin.confirmation import run_if_confirmed
from exports.models import ApiKey, SshKey, Supplier
from headend.read_only_admin import ReadOnly

ENTERED_FIELDS = ("supplier", "label")
STORED_FIELDS = ("prefix", "created_at", "last_used_at", "revoked_at")


class ApiKeyInline(ReadOnly, admin.TabularInline[ApiKey, Supplier]):
    """The API keys on a supplier's page. A new key has a page that shows it once."""

    model = ApiKey
    extra = 0
    fields = ["label", *STORED_FIELDS]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    """API keys: created, shown once, revoked; never edited or deleted."""

    list_display = ["__str__", "supplier", "label", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["supplier", ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["prefix", "label", "supplier__name"]
    list_select_related = ["supplier"]
    actions = ["revoke"]

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """Return the fields to enter for a new key, or all fields of a stored key."""
        return ENTERED_FIELDS if obj is None else ENTERED_FIELDS + STORED_FIELDS

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Return False for a stored key: it can be revoked but not edited."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Return False: the row shows later which supplier had the key."""
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: ApiKey,
        form: ModelForm[ApiKey],
        change: bool,  # noqa: FBT001 (Django's own signature)
    ) -> None:
        """Create the key, store its hash, and show the key once."""
        key = credentials.new_api_key()
        obj.prefix, obj.digest = credentials.prefix(key), credentials.digest(key)
        super().save_model(request, obj, form, change)
        messages.warning(
            request,
            format_html(
                "The API key of {} is <code>{}</code>. Copy it now: it cannot be shown again.",
                obj.supplier,
                key,
            ),
        )

    @admin.action(description="Revoke selected API keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        """Revoke the keys after the operator has confirmed it."""
        return run_if_confirmed(
            self,
            request,
            queryset,
            action="revoke",
            question="Revoke these API keys? Clients that use them will get 401 responses.",
            act=lambda key: bool(
                ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(
                    revoked_at=timezone.now()
                )
            ),
            success="{} revoked.",
        )


class SshKeyForm(ModelForm[SshKey]):
    """The form for an SSH public key."""

    class Meta:
        model = SshKey
        fields = ["supplier", "label", "public_key"]
        widgets = {"public_key": Textarea(attrs={"rows": 4, "cols": 48})}

    def validate_unique(self) -> None:
        """Refuse a key that the supplier already has.

        Django checks a constraint only if the form has all of its fields, and the fingerprint is not one.
        """
        super().validate_unique()
        try:
            self.instance.validate_constraints()
        except ValidationError:
            self.add_error("public_key", "This supplier already has this key.")


class SshKeyFormSet(BaseInlineFormSet[SshKey, Supplier, ModelForm[SshKey]]):
    """The SSH keys that are entered on a supplier's page."""

    def clean(self) -> None:
        """Refuse a key that is entered twice."""
        super().clean()
        seen = set()
        for form in self.forms:
            fingerprint = form.instance.fingerprint
            if not fingerprint or form.cleaned_data.get(DELETION_FIELD_NAME):
                continue
            if fingerprint in seen:
                form.add_error("public_key", "This key is entered twice.")
            seen.add(fingerprint)


class SshKeyInline(admin.StackedInline[SshKey, Supplier]):
    """The SSH keys on a supplier's page."""

    model = SshKey
    form = SshKeyForm
    formset = SshKeyFormSet
    extra = 0
    fields = ["label", "public_key", "fingerprint", "last_used_at"]
    readonly_fields = ["fingerprint", "last_used_at"]


@admin.register(SshKey)
class SshKeyAdmin(admin.ModelAdmin[SshKey]):
    """SSH public keys of suppliers."""

    form = SshKeyForm
    list_display = ["fingerprint", "supplier", "label", "created_at", "last_used_at"]
    list_filter = ["supplier"]
    search_fields = ["fingerprint", "label", "supplier__name"]
    list_select_related = ["supplier"]
    fields = ["supplier", "label", "public_key", "fingerprint", "last_used_at"]
    readonly_fields = ["fingerprint", "last_used_at"]
