"""The list of file requests, with filters in the URL query."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.delivery.links import download_path
from exports.file_requests import progress, with_progress
from exports.formats import FORMATS
from exports.models import FileRequest, Status, SupplierPerson
from headend.portal.access import login_required, sees_all_requests, visible_requests
from headend.portal.forms import FilterForm, InstantField
from headend.portal.htmx import page_or_fragment
from headend.portal.pagination import requested_page

PAGE_SIZE = 50
_LOOKUPS = {
    "supplier": "supplier",
    "status": "status",
    "format": "format",
    "since": "end__gte",
    "until": "start__lte",
}
"""The query lookup of each filter."""


class FileRequestFilters(FilterForm):
    """The filters of the list."""

    status = forms.ChoiceField(choices=[("", "all"), *Status.choices], required=False)
    format = forms.ChoiceField(
        choices=[("", "all"), *((name, name) for name in FORMATS)], required=False
    )
    since = InstantField(required=False, label="Window ends after (UTC)")
    until = InstantField(required=False, label="Window begins before (UTC)")

    def apply(self, requests: QuerySet[FileRequest]) -> QuerySet[FileRequest]:
        """Return the requests that match every filter that is set; all if a filter is invalid."""
        return requests.filter(**{_LOOKUPS[name]: value for name, value in self.selected().items()})


# The page and its table have the same URL, so a browser must not show a cached table as the page.
@never_cache
@require_safe
@login_required
def file_requests_page(request: HttpRequest) -> HttpResponse:
    """Show the file requests that the user may see, the newest first."""
    filters = FileRequestFilters(request.GET or None)
    if not sees_all_requests(request.user):
        # A supplier user sees one supplier only, and must not learn the names of the others.
        del filters.fields["supplier"]
    requests = filters.apply(with_progress(visible_requests(request.user)))
    page = requested_page(request, requests, PAGE_SIZE)
    context = {
        "filters": filters,
        "filtered": any(request.GET.get(name) for name in filters.fields),
        "page": page,
        "rows": [table_row(each) for each in page.object_list],
        "public_url": settings.HEADEND_PUBLIC_URL,
        "no_access": _why_nothing_is_visible(request.user),
    }
    template = page_or_fragment(
        request, "portal/file_requests.html", "portal/_file_requests_table.html"
    )
    return render(request, template, context)


def table_row(request: FileRequest) -> dict[str, Any]:
    """Return a request, its progress from 0 to 1, and the path of its download, or None if it has no file."""
    return {
        "request": request,
        "progress": progress(request),
        "download": download_path(request) if request.has_file else None,
    }


def _why_nothing_is_visible(user: User | AnonymousUser) -> str:
    """Return why the user cannot see any file request; an empty text if the user can."""
    if sees_all_requests(user):
        return ""
    if user.is_staff:
        return "Your user account has no role that shows file requests."
    person = SupplierPerson.objects.filter(user=user.pk).select_related("supplier").first()
    if person is None:
        return "Your user account belongs to no supplier."
    return "" if person.supplier.active else "Your supplier is inactive."
