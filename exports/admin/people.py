"""Who logs in: the staff by their roles, a supplier's people by their supplier."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count, ManyToManyField, QuerySet
from django.forms import CheckboxSelectMultiple, ModelForm
from django.http import HttpRequest

from exports.models import SupplierPerson

CHECKBOXES: Any = {ManyToManyField: {"widget": CheckboxSelectMultiple}}
"""Django's two lists side by side have labels that screen readers do not get."""


class SupplierPersonForm(ModelForm[SupplierPerson]):
    """A supplier, often filled in already."""

    def has_changed(self) -> bool:
        """What was filled in for a new login counts as given; Django takes it for an empty row."""
        given = self.data.get(self.add_prefix("supplier"))
        return super().has_changed() or bool(self.instance._state.adding and given)


class SupplierPersonInline(admin.StackedInline[SupplierPerson, User]):
    """The supplier that a login belongs to."""

    model = SupplierPerson
    form = SupplierPersonForm
    extra = 0
    fields = ["supplier"]

    def get_extra(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> int:
        """One, where a supplier's page asked for a login of its own."""
        return 1 if "supplier" in request.GET else 0

    def get_formset(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:
        """With the supplier that the address names."""
        formset = super().get_formset(request, obj, **kwargs)
        formset.form.base_fields["supplier"].initial = request.GET.get("supplier")
        return formset


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Django's own, with the supplier; nobody makes themselves more than they are."""

    list_display = ["username", "email", "role", "supplier", "is_active", "last_login"]
    list_filter = ["is_staff", "is_superuser", "is_active", "groups", "supplier_person__supplier"]
    inlines = [SupplierPersonInline]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Personal", {"fields": ["first_name", "last_name", "email"]}),
        ("May", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("History", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = []
    formfield_overrides = CHECKBOXES

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With what the list shows of each."""
        people = super().get_queryset(request)
        return people.select_related("supplier_person__supplier").prefetch_related("groups")

    @admin.display(description="role")
    def role(self, obj: User) -> str:
        """What they may do."""
        if obj.is_superuser:
            return "superuser"
        return ", ".join(group.name for group in obj.groups.all()) if obj.is_staff else "-"

    @admin.display(description="supplier", ordering="supplier_person__supplier__name")
    def supplier(self, obj: User) -> str | None:
        """Whose files they see."""
        person: SupplierPerson | None = getattr(obj, "supplier_person", None)
        return person.supplier.name if person else None

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """An administrator gives roles, and no powers beyond them."""
        fields = [str(field) for field in super().get_readonly_fields(request, obj)]
        return fields if request.user.is_superuser else [*fields, "is_superuser"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """A superuser, and so its password, is only another's to change."""
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """As for changing."""
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """What each role may."""

    list_display = ["name", "people"]
    filter_horizontal = []
    formfield_overrides = CHECKBOXES

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """With how many have it."""
        return super().get_queryset(request).annotate(people=Count("user"))

    @admin.display(ordering="people")
    def people(self, obj: Any) -> int:
        """How many have it."""
        return int(obj.people)


@admin.register(SupplierPerson)
class SupplierPersonAdmin(admin.ModelAdmin[SupplierPerson]):
    """Which login belongs to which supplier."""

    list_display = ["user", "supplier", "created_at"]
    list_filter = ["supplier"]
    search_fields = ["user__username", "supplier__name"]
    list_select_related = ["user", "supplier"]
    autocomplete_fields = ["user"]
    fields = ["user", "supplier"]


def _may_touch(request: HttpRequest, person: User | None) -> bool:
    return request.user.is_superuser or person is None or not person.is_superuser
