"""The form with which an operator requests a file for a supplier, with an estimate of the file's size."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from exports.file_requests import FileSpec, QueueFullError, SupplierInactiveError, accept
from exports.formats import FORMATS
from exports.models import FileRequest, Supplier
from headend.portal.access import staff_required
from headend.portal.file_size_estimate import FileSizeEstimate, estimate_file_size
from headend.portal.forms import InstantField, WindowForm


class FileRequestForm(WindowForm):
    """A supplier, a window and a format."""

    supplier = forms.ModelChoiceField(
        Supplier.objects.filter(active=True).order_by("name"),
        empty_label=None,
        to_field_name="name",
    )
    start = InstantField(label="From (UTC)", help_text="The first time of the window, inclusive.")
    end = InstantField(label="To (UTC)", help_text="The last time of the window, inclusive.")
    format = forms.ChoiceField(choices=[(name, name) for name in FORMATS], initial="csv")

    field_order = ["supplier", "start", "end", "format"]
    end_may_equal_start = True

    def create(self) -> FileRequest:
        """Queue the request. The form must be valid.

        Raises:
            QueueFullError: the supplier has too many queued requests.
            SupplierInactiveError: the supplier was deactivated a moment ago.
        """
        spec = FileSpec(*self.bounds, self.cleaned_data["format"])
        return accept(self.cleaned_data["supplier"], spec)

    def estimate(self) -> FileSizeEstimate | None:
        """Return the estimate for what the form contains, or None if the form is not complete and valid."""
        if not self.is_bound or not self.is_valid():
            return None
        return estimate_file_size(*self.bounds, self.cleaned_data["format"])


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("exports.add_filerequest")
def new_file_request(request: HttpRequest) -> HttpResponse:
    """Show the form, filled in from the URL query; create the request on POST."""
    form = FileRequestForm(request.POST or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            created = form.create()
        except (QueueFullError, SupplierInactiveError) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "File request created.")
            return redirect("file-request", created.pk)
    estimated = FileRequestForm(request.GET) if "start" in request.GET else form
    context = {"form": form, "estimate": estimated.estimate()}
    return render(request, "portal/new_file_request.html", context)


@never_cache
@require_safe
@staff_required("exports.add_filerequest")
def file_request_estimate(request: HttpRequest) -> HttpResponse:
    """Show the estimate for the values in the URL query; htmx calls this while the user fills in the form."""
    estimate = FileRequestForm(request.GET).estimate()
    return render(request, "portal/_estimate.html", {"estimate": estimate})
