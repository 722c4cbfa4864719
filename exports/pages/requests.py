"""The list of file requests, narrowed by filters that live in its address."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from exports.delivery.links import download_path
from exports.formats import FORMATS
from exports.models import FileRequest, Status, Supplier
from exports.pages.fields import InstantField
from exports.requests import progress, with_progress

PAGE = 50


class HtmxRequest(HttpRequest):
    """A request that went through django-htmx's middleware."""

    htmx: HtmxDetails


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
def requests_page(request: HtmxRequest) -> HttpResponse:
    """File requests, newest first; htmx asks for the table alone."""
    if not (request.user.is_authenticated and request.user.is_staff):
        # htmx would follow a redirect and put the login form where the table was.
        if request.htmx:
            return HttpResponseClientRefresh()
        return redirect_to_login(request.get_full_path())
    filters = Filters(request.GET or None)
    requests = filters.narrowed(with_progress(FileRequest.objects.select_related("supplier")))
    page = Paginator(requests, PAGE).get_page(request.GET.get("page"))
    context = {
        "filters": filters,
        "page": page,
        "rows": [row_of(each) for each in page.object_list],
        "public_url": settings.HEADEND_PUBLIC_URL,
        "narrowed": any(request.GET.get(name) for name in filters.fields),
    }
    template = "exports/_requests_table.html" if request.htmx else "exports/requests.html"
    return render(request, template, context)


def row_of(request: FileRequest) -> dict[str, Any]:
    """What the table shows of a request."""
    return {
        "request": request,
        "progress": progress(request),
        "download": download_path(request) if request.has_file else None,
    }
