"""Making a supplier, and handing over what it needs to start: shown once, downloaded once."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from exports.credentials import normalised_public_key
from exports.models import KeyHandOver, Supplier
from exports.sftp.host_keys import known_hosts_lines
from exports.suppliers import hand_over
from exports.suppliers.hand_over import SealedKey
from headend.portal.access import staff_only


class SupplierForm(forms.ModelForm[Supplier]):
    """A supplier, and what lets it in."""

    public_key = forms.CharField(
        label="SSH public key",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "ssh-ed25519 AAAA… carol@laptop"}),
        help_text="One line as in authorized_keys. Empty: a key pair is made, and you hand over its private half.",
    )

    class Meta:
        model = Supplier
        fields = ["name", "most_running", "most_queued"]
        labels = {
            "most_running": "File requests that run at once",
            "most_queued": "File requests that may wait",
        }
        help_texts = {
            "name": "Lower-case letters, digits, - and _. Also the SFTP user name.",
            "most_running": "Empty: as the deployment has it.",
            "most_queued": "Empty: as the deployment has it.",
        }

    def clean_public_key(self) -> str:
        """The key without its comment."""
        line: str = self.cleaned_data["public_key"]
        try:
            return normalised_public_key(line) if line else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
@permission_required("exports.add_supplier", raise_exception=True)
def new_supplier(request: HttpRequest) -> HttpResponse:
    """The form; when it is sent, the hand-over page."""
    form = SupplierForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "portal/new_supplier.html", {"form": form})
    with transaction.atomic():
        supplier = form.save()
        api_key = hand_over.give_api_key(supplier, "first key")
        sealed = None
        if public_key := form.cleaned_data["public_key"]:
            hand_over.let_in(supplier, public_key, "first key")
        else:
            sealed = hand_over.give_key_pair(supplier, "first key")
    return _handed_over(request, supplier, api_key=api_key, sealed=sealed, is_new=True)


@never_cache
@require_POST
@staff_only
@permission_required("exports.add_apikey", raise_exception=True)
def new_api_key(request: HttpRequest, name: str) -> HttpResponse:
    """One more API key, shown this once."""
    supplier = get_object_or_404(Supplier, name=name)
    return _handed_over(request, supplier, api_key=hand_over.give_api_key(supplier))


@never_cache
@require_POST
@staff_only
@permission_required("exports.add_sshkey", raise_exception=True)
def new_key_pair(request: HttpRequest, name: str) -> HttpResponse:
    """One more key pair, downloaded once."""
    supplier = get_object_or_404(Supplier, name=name)
    return _handed_over(request, supplier, sealed=hand_over.give_key_pair(supplier))


@never_cache
@require_POST
@staff_only
@permission_required("exports.add_sshkey", raise_exception=True)
def private_key(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """A private key, to the first who asks with its token."""
    row = get_object_or_404(KeyHandOver.objects.select_related("supplier"), pk=pk)
    key = hand_over.take_private_key(pk, request.POST.get("token", ""))
    if key is None:
        messages.error(
            request,
            "This private key was downloaded before, or not in time. Make the supplier a new key pair.",
        )
        return redirect("supplier", row.supplier.name)
    file = f'attachment; filename="{row.supplier.name}.pem"'
    return HttpResponse(
        key, content_type="application/x-pem-file", headers={"Content-Disposition": file}
    )


def _handed_over(
    request: HttpRequest,
    supplier: Supplier,
    *,
    api_key: str | None = None,
    sealed: SealedKey | None = None,
    is_new: bool = False,
) -> HttpResponse:
    """Shown in the answer to the form itself, so that no key waits anywhere for a second page."""
    host, port = settings.SFTP_PUBLIC_HOST, settings.SFTP_PORT
    now = timezone.now()
    context = {
        "supplier": supplier,
        "api_key": api_key,
        "sealed": sealed,
        "is_new": is_new,
        "url": settings.HEADEND_PUBLIC_URL,
        "host": host,
        "port": port,
        "known_hosts": known_hosts_lines(host, port),
        "last_hour": (now - timedelta(hours=1), now),
    }
    return render(request, "portal/hand_over.html", context)
