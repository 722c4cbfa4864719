"""The forms that create a supplier or a key, and the page that shows the new credentials once."""

from __future__ import annotations

import base64
from datetime import timedelta

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from exports.credentials import normalised_public_key
from exports.models import Supplier
from exports.sftp.host_keys import known_hosts_lines
from exports.suppliers import hand_over
from exports.suppliers.hand_over import KeyPair
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
        api_key = hand_over.create_api_key(supplier, "first key")
        key_pair = None
        if public_key := form.cleaned_data["public_key"]:
            hand_over.add_ssh_key(supplier, public_key, "first key")
        else:
            key_pair = hand_over.create_key_pair(supplier, "first key")
    return _handed_over(request, supplier, api_key=api_key, key_pair=key_pair, is_new=True)


@never_cache
@require_POST
@staff_only
@permission_required("exports.add_apikey", raise_exception=True)
def new_api_key(request: HttpRequest, name: str) -> HttpResponse:
    """One more API key, shown this once."""
    supplier = get_object_or_404(Supplier, name=name)
    return _handed_over(request, supplier, api_key=hand_over.create_api_key(supplier))


@never_cache
@require_POST
@staff_only
@permission_required("exports.add_sshkey", raise_exception=True)
def new_key_pair(request: HttpRequest, name: str) -> HttpResponse:
    """Create a key pair and show its private key this once."""
    supplier = get_object_or_404(Supplier, name=name)
    return _handed_over(request, supplier, key_pair=hand_over.create_key_pair(supplier))


def _handed_over(
    request: HttpRequest,
    supplier: Supplier,
    *,
    api_key: str | None = None,
    key_pair: KeyPair | None = None,
    is_new: bool = False,
) -> HttpResponse:
    """Render the keys in the response to the form itself, so that no key has to be stored for a second page."""
    host, port = settings.SFTP_PUBLIC_HOST, settings.SFTP_PORT
    now = timezone.now()
    context = {
        "supplier": supplier,
        "api_key": api_key,
        "key_pair": key_pair,
        "private_key_link": _private_key_link(key_pair) if key_pair else None,
        "is_new": is_new,
        "url": settings.HEADEND_PUBLIC_URL,
        "host": host,
        "port": port,
        "known_hosts": known_hosts_lines(host, port),
        "last_hour": (now - timedelta(hours=1), now),
    }
    return render(request, "portal/hand_over.html", context)


def _private_key_link(key_pair: KeyPair) -> str:
    """Return the private key as a ``data:`` URL: the page holds the only copy, the server none."""
    encoded = base64.b64encode(key_pair.private_key.encode()).decode()
    return f"data:application/x-pem-file;base64,{encoded}"
