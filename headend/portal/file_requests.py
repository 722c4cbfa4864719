"""The list of file requests, narrowed by filters that live in its address."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.delivery.links import download_path
from exports.file_requests import progress, with_progress
from exports.formats import FORMATS
from exports.models import FileRequest, Status, Supplier, SupplierPerson
from headend.portal.access import logged_in, visible_requests
from headend.portal.form_fields import InstantField

PAGE = 50


class Filters(forms.Form):
    """What the list can be narrowed by; nothing of it need be given."""

    supplier = forms.ModelChoiceField(
        Supplier.objects.order_by("name"), required=False, empty_label="all", to_field_name="name"
    )
    status = forms.ChoiceField(choices=[("", "all"), *Status.choices], required=False)
    format = forms.ChoiceField(
        choices=[("", "all"), *((name, name) for name in FORMATS)], required=False
    )
    since = InstantField(required=False, label="Window ends after (UTC)")
    until = InstantField(required=False, label="Window begins before (UTC)")

    def narrowed(self, requests: QuerySet[FileRequest]) -> QuerySet[FileRequest]:
        """The requests that meet every filter that could be read."""
        given = self.cleaned_data if self.is_bound and self.is_valid() else {}
        wanted: dict[str, Any] = {
            "supplier": given.get("supplier"),
            "status": given.get("status"),
            "format": given.get("format"),
            "end__gte": given.get("since"),
            "start__lte": given.get("until"),
        }
        return requests.filter(**{name: value for name, value in wanted.items() if value})


# The page and its table share one address: a kept table must never be shown for the page.
@never_cache
@require_safe
@logged_in
def requests_page(request: HttpRequest) -> HttpResponse:
    """File requests, newest first; htmx asks for the table alone."""
    filters = Filters(request.GET or None)
    if not request.user.is_staff:
        # Whoever sees one supplier's requests has none to choose, and is not told of others.
        del filters.fields["supplier"]
    requests = filters.narrowed(with_progress(visible_requests(request.user)))
    page = Paginator(requests, PAGE).get_page(request.GET.get("page"))
    context = {
        "filters": filters,
        "page": page,
        "rows": [row_of(each) for each in page.object_list],
        "public_url": settings.HEADEND_PUBLIC_URL,
        "nobodys": not request.user.is_staff
        and not SupplierPerson.objects.filter(user=request.user.pk).exists(),
        "narrowed": any(request.GET.get(name) for name in filters.fields),
    }
    alone = bool(request.headers.get("HX-Request"))
    template = "portal/_file_requests_table.html" if alone else "portal/file_requests.html"
    return render(request, template, context)


def row_of(request: FileRequest) -> dict[str, Any]:
    """What the table shows of a request."""
    return {
        "request": request,
        "progress": progress(request),
        "download": download_path(request) if request.has_file else None,
    }
