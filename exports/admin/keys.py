"""API keys: made, shown once, revoked. SSH keys: validated, told apart by their fingerprint."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet, ModelForm, Textarea
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from exports.admin.confirmation import confirmed
from exports.credentials import PREFIX_LENGTH, digest, new_api_key
from exports.models import ApiKey, SshKey, Supplier
from headend.read_only_admin import ReadOnly

ASKED = ("supplier", "label")
TOLD = ("prefix", "created_at", "last_used_at", "revoked_at")


class ApiKeyInline(ReadOnly, admin.TabularInline[ApiKey, Supplier]):
    """A supplier's API keys; a new one is made on its own page, where it is shown once."""

    model = ApiKey
    extra = 0
    fields = ["label", *TOLD]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    """API keys: made, shown once, revoked; never changed or removed."""

    list_display = ["__str__", "supplier", "label", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["supplier", ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["prefix", "label", "supplier__name"]
    list_select_related = ["supplier"]
    actions = ["revoke"]

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """What is asked for a new key; all there is to tell about an old one."""
        return ASKED if obj is None else ASKED + TOLD

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key in use is revoked, not edited."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key's row stays, to tell whose it was."""
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: ApiKey,
        form: ModelForm[ApiKey],
        change: bool,  # noqa: FBT001 (Django's own signature)
    ) -> None:
        """Make the key, keep its hash, and show it this once."""
        key = new_api_key()
        obj.prefix, obj.digest = key[:PREFIX_LENGTH], digest(key)
        super().save_model(request, obj, form, change)
        messages.warning(
            request,
            format_html(
                "The API key of {} is <code>{}</code>. It is shown only now.", obj.supplier, key
            ),
        )

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        """Refuse these keys from now on, once the operator has confirmed it."""
        return confirmed(
            self,
            request,
            queryset,
            action="revoke",
            question="Revoke these API keys? Whoever uses them is refused from then on.",
            act=lambda key: bool(
                ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(
                    revoked_at=timezone.now()
                )
            ),
            done="{} revoked.",
        )


class SshKeyForm(ModelForm[SshKey]):
    """A public key, pasted."""

    class Meta:
        model = SshKey
        fields = ["supplier", "label", "public_key"]
        widgets = {"public_key": Textarea(attrs={"rows": 4, "cols": 48})}

    def validate_unique(self) -> None:
        """Refuse a key the supplier has already; Django skips rules about fields a form leaves out."""
        super().validate_unique()
        try:
            self.instance.validate_constraints()
        except ValidationError:
            self.add_error("public_key", "This supplier has this key already.")


class SshKeyFormSet(BaseInlineFormSet[SshKey, Supplier, ModelForm[SshKey]]):
    """The SSH keys pasted into a supplier's page."""

    def clean(self) -> None:
        """Refuse a key that was pasted twice at once."""
        super().clean()
        seen = set()
        for form in self.forms:
            fingerprint = form.instance.fingerprint
            if not fingerprint or form.cleaned_data.get(DELETION_FIELD_NAME):
                continue
            if fingerprint in seen:
                form.add_error("public_key", "This key is here twice.")
            seen.add(fingerprint)


class SshKeyInline(admin.StackedInline[SshKey, Supplier]):
    """A supplier's SSH keys."""

    model = SshKey
    form = SshKeyForm
    formset = SshKeyFormSet
    extra = 0
    fields = ["label", "public_key", "fingerprint", "last_used_at"]
    readonly_fields = ["fingerprint", "last_used_at"]


@admin.register(SshKey)
class SshKeyAdmin(admin.ModelAdmin[SshKey]):
    """SSH keys."""

    form = SshKeyForm
    list_display = ["fingerprint", "supplier", "label", "created_at", "last_used_at"]
    list_filter = ["supplier"]
    search_fields = ["fingerprint", "label", "supplier__name"]
    list_select_related = ["supplier"]
    fields = ["supplier", "label", "public_key", "fingerprint", "last_used_at"]
    readonly_fields = ["fingerprint", "last_used_at"]
