"""The form in which an operator requests a file for a supplier. It shows an estimate of the file's size."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from exports.file_requests import FileSpec, QueueFullError, SupplierInactiveError, accept
from exports.formats import FORMATS
from exports.models import FileRequest, Supplier
from headend.portal.access import staff_required
from headend.portal.file_size_estimate import FileSizeEstimate, estimate_file_size
from headend.portal.forms import InstantField, WindowForm
from readings import frame
from readings.columns import ALL, format_columns, parse_columns
from readings.device_ids import parse_device_id
from readings.parameters import MAX_METERS

OWN = "own"
"""The choice *custom list*: the operator writes the columns."""


class FileRequestForm(WindowForm):
    """A supplier, a window, and the meters, readings and columns that the file contains."""

    supplier = forms.ModelChoiceField(
        Supplier.objects.filter(active=True).order_by("name"),
        empty_label=None,
        to_field_name="name",
    )
    start = InstantField(label="From (UTC)", help_text="The first time of the window, inclusive.")
    end = InstantField(label="To (UTC)", help_text="The last time of the window, inclusive.")
    device_ids = forms.CharField(
        required=False,
        label="Meters",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One id per line, or separated by commas. Leave it empty for all meters.",
    )
    arrived_after = InstantField(
        required=False,
        label="Arrived after (UTC)",
        help_text="Only readings that arrived later. Leave it empty for all.",
    )
    columns = forms.ChoiceField(
        choices=[("", "ten columns of the contract"), (ALL, "all columns"), (OWN, "custom list")],
        required=False,
    )
    own_columns = forms.CharField(
        required=False,
        label="Custom columns",
        help_text=f"For “custom list”, separated by commas: {', '.join(frame.FULL_COLUMNS)}.",
    )
    format = forms.ChoiceField(choices=[(name, name) for name in FORMATS], initial="csv")

    field_order = [
        "supplier", "start", "end", "device_ids", "arrived_after", "columns", "own_columns", "format",
    ]  # fmt: skip
    end_may_equal_start = True

    def clean_device_ids(self) -> tuple[str, ...]:
        """Return the ids of the meters, ascending, each once.

        Raises:
            ValidationError: a text is not a meter id, or there are too many.
        """
        texts = re.split(r"[,\r\n]+", self.cleaned_data["device_ids"])
        try:
            device_ids = {parse_device_id(text) for text in texts if text.strip()}
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        if len(device_ids) > MAX_METERS:
            raise forms.ValidationError(
                f"A file can have at most {MAX_METERS:,} meters; create several file requests."
            )
        return tuple(sorted(device_ids))

    def clean(self) -> dict[str, Any]:
        """Replace the choice of columns by the list of columns that a file request stores."""
        cleaned = super().clean()
        choice, own = cleaned.get("columns"), cleaned.get("own_columns", "")
        if own and choice != OWN:
            self.add_error("own_columns", "Choose “custom list” as columns, or leave this empty.")
        elif choice:
            try:
                columns = parse_columns(own if choice == OWN else ALL)
            except ValueError as error:
                self.add_error("own_columns", str(error))
            else:
                cleaned["columns"] = format_columns(columns)
        return cleaned

    def spec(self) -> FileSpec:
        """Return the window, format and columns of the file. The form must be valid."""
        names = ("format", "arrived_after", "device_ids", "columns")
        return FileSpec(*self.bounds, **{name: self.cleaned_data[name] for name in names})

    def create(self) -> FileRequest:
        """Queue the request. The form must be valid.

        Raises:
            QueueFullError: the supplier has too many queued requests.
            SupplierInactiveError: the supplier was deactivated a moment ago.
        """
        return accept(self.cleaned_data["supplier"], self.spec())

    def estimate(self) -> FileSizeEstimate | None:
        """Return the estimate for what the form contains, or None if the form is not complete and valid."""
        if not self.is_bound or not self.is_valid():
            return None
        return estimate_file_size(self.spec())


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("exports.add_filerequest")
def new_file_request(request: HttpRequest) -> HttpResponse:
    """Show the form, filled in from the URL query; on POST create the request, or estimate its size."""
    form = FileRequestForm(request.POST or None, initial=request.GET.dict())
    if request.method == "POST" and "estimate" not in request.POST and form.is_valid():
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
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("exports.add_filerequest")
def file_request_estimate(request: HttpRequest) -> HttpResponse:
    """Show the estimate for the values of the form; htmx calls this while the user fills it in.

    It sends a POST request: a list of meters can be too long for a URL.
    """
    estimate = FileRequestForm(request.POST or request.GET).estimate()
    return render(request, "portal/_estimate.html", {"estimate": estimate})
