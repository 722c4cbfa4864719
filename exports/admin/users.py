"""The admin's pages of users and roles, and of the supplier that a user belongs to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db.models import Count, ManyToManyField, QuerySet
from django.forms import CheckboxSelectMultiple, ModelForm
from django.http import HttpRequest

from exports.models import SupplierPerson
from exports.models.people import STAFF_WITH_SUPPLIER_ERROR, makes_supplier_user_staff

CHECKBOXES: Any = {ManyToManyField: {"widget": CheckboxSelectMultiple}}
"""Checkboxes replace Django's widget of two lists, whose labels screen readers do not read."""


class SupplierPersonForm(ModelForm[SupplierPerson]):
    """The form for a user's supplier. The page of a supplier links to it with the supplier selected."""

    def has_changed(self) -> bool:
        """Return True for a new user with a preselected supplier; Django would ignore the row as empty."""
        selected = self.data.get(self.add_prefix("supplier"))
        return super().has_changed() or bool(self.instance._state.adding and selected)


class SupplierPersonInline(admin.StackedInline[SupplierPerson, User]):
    """The supplier on a user's page."""

    model = SupplierPerson
    form = SupplierPersonForm
    extra = 0
    fields = ["supplier"]

    def get_extra(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> int:
        """Return 1 if the URL names a supplier, as the link on a supplier's page does."""
        return 1 if "supplier" in request.GET else 0

    def get_formset(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:
        """Preselect the supplier that the URL names."""
        formset = super().get_formset(request, obj, **kwargs)
        formset.form.base_fields["supplier"].initial = request.GET.get("supplier")
        return formset


class StaffUserForm(UserChangeForm[User]):
    """Django's form for a user; a supplier user cannot become staff."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse a staff user who belongs to a supplier."""
        cleaned = super().clean()
        rights = {
            name: self.cleaned_data.get(name, getattr(self.instance, name))
            for name in ("is_staff", "is_superuser")
        }
        if makes_supplier_user_staff(User(pk=self.instance.pk, **rights)):
            raise ValidationError(
                f"{STAFF_WITH_SUPPLIER_ERROR} First remove the supplier, and save the user."
            )
        return cleaned


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffUserAdmin(UserAdmin[User]):
    """Django's user admin with the supplier. Only a superuser can make or change a superuser."""

    list_display = ["username", "email", "role", "supplier", "is_active", "last_login"]
    list_filter = ["is_staff", "is_superuser", "is_active", "groups", "supplier_person__supplier"]
    form = StaffUserForm
    inlines = [SupplierPersonInline]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Personal information", {"fields": ["first_name", "last_name", "email"]}),
        ("Permissions", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("History", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = []
    formfield_overrides = CHECKBOXES

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Load the supplier and the roles of all rows in two queries."""
        users = super().get_queryset(request)
        return users.select_related("supplier_person__supplier").prefetch_related("groups")

    @admin.display(description="role")
    def role(self, obj: User) -> str:
        """Return the roles of a staff user."""
        if obj.is_superuser:
            return "superuser"
        return ", ".join(group.name for group in obj.groups.all()) if obj.is_staff else "-"

    @admin.display(description="supplier", ordering="supplier_person__supplier__name")
    def supplier(self, obj: User) -> str | None:
        """Return the supplier whose file requests the user sees."""
        membership: SupplierPerson | None = getattr(obj, "supplier_person", None)
        return membership.supplier.name if membership else None

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Make ``is_superuser`` read-only for everyone but superusers."""
        fields = [str(field) for field in super().get_readonly_fields(request, obj)]
        return fields if request.user.is_superuser else [*fields, "is_superuser"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return False if the user is a superuser and the editor is not, who could then log in as the superuser."""
        return _may_edit(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return False if the user is a superuser and the editor is not."""
        return _may_edit(request, obj) and super().has_delete_permission(request, obj)


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """Roles with their permissions."""

    list_display = ["name", "users"]
    filter_horizontal = []
    formfield_overrides = CHECKBOXES

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """Add the number of users with each role."""
        return super().get_queryset(request).annotate(user_count=Count("user"))

    @admin.display(ordering="user_count")
    def users(self, obj: Any) -> int:
        """Return the number of users with the role."""
        return int(obj.user_count)


@admin.register(SupplierPerson)
class SupplierPersonAdmin(admin.ModelAdmin[SupplierPerson]):
    """Which user belongs to which supplier."""

    list_display = ["user", "supplier", "created_at"]
    list_filter = ["supplier"]
    search_fields = ["user__username", "supplier__name"]
    list_select_related = ["user", "supplier"]
    autocomplete_fields = ["user"]
    fields = ["user", "supplier"]


def _may_edit(request: HttpRequest, user: User | None) -> bool:
    return request.user.is_superuser or user is None or not user.is_superuser
