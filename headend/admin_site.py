"""The admin site. It checks the values in URLs and forms, so that a wrong one never causes an error 500.

Django's own admin does not check that a value fits the database column, or that a selected row can exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest, HttpResponse

MAX_INTEGER = 2**63 - 1
"""The largest number in a column of the database."""


class CheckedChangeList(ChangeList):
    """A list that ignores a filter which the database cannot compute, as Django ignores other wrong filters.

    Examples are numbers of more than 64 bits, and years that Python's dates do not have.
    """

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Return the filtered rows. Raises ``IncorrectLookupParameters``: Django then shows the list without filters."""
        try:
            return super().get_queryset(request, exclude_parameters)
        # The links by date compute the day after the selected one. Python has no day after the year 9999.
        except (OverflowError, ValueError) as error:
            raise IncorrectLookupParameters(error) from error

    def get_results(self, request: HttpRequest) -> None:
        """Query the rows of the page. Raises ``IncorrectLookupParameters`` as :meth:`get_queryset` does."""
        try:
            super().get_results(request)
        except (OverflowError, ValueError, DataError) as error:
            raise IncorrectLookupParameters(error) from error


class Checked(ModelAdmin[Any]):
    """A mixin with checks that Django does not make. The site adds it to every admin class."""

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return CheckedChangeList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row of a page. An empty ``_to_field`` means the primary key, as a missing one does."""
        return super().get_object(request, object_id, from_field or None)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the initial values from the URL of an add page, without keys that no row can have."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        return {name: value for name, value in initial.items() if self._is_possible(name, value)}

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run an action, unless the selection contains a key that no row can have."""
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(_is_possible_key(self.model, key) for key in selected):
            messages.warning(request, "The selection is not valid. Nothing has been changed.")
            return None
        return super().response_action(request, queryset)

    def _is_possible(self, name: str, value: Any) -> bool:
        try:
            related = self.opts.get_field(name).related_model
        except FieldDoesNotExist:
            return True
        if not (isinstance(related, type) and issubclass(related, Model)):
            return True
        return all(_is_possible_key(related, key) for key in _as_list(value) if key)


class HeadendAdminSite(AdminSite):
    """The admin site. It adds :class:`Checked` to every admin class, also to those of libraries."""

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Register a subclass of :class:`Checked` and the admin class."""
        admin_class = admin_class or ModelAdmin
        attributes = {"__module__": admin_class.__module__, "__doc__": admin_class.__doc__}
        checked = type(admin_class.__name__, (Checked, admin_class), attributes)
        super().register(model_or_iterable, checked, **options)


def _is_possible_key(model: type[Model], key: str) -> bool:
    """Return whether the primary key of ``model`` can have the value ``key``."""
    field: Field[Any, Any] | None = model._meta.pk
    assert field is not None
    try:
        value = field.clean(key, None)
    except ValidationError:
        return False
    return not isinstance(value, int) or abs(value) <= MAX_INTEGER


def _as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
