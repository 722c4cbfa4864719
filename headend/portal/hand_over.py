"""Create a supplier or new keys, and show the credentials once on the hand-over page."""

from __future__ import annotations

import base64
from datetime import timedelta

from django import forms
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from exports.credentials import normalised_public_key
from exports.models import Supplier
from exports.suppliers import hand_over
from exports.suppliers.hand_over import KeyPair
from headend.portal.access import staff_required


class SupplierForm(forms.ModelForm[Supplier]):
    """A new supplier: its name, its limits and, optionally, its SSH public key."""

    public_key = forms.CharField(
        label="SSH public key",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "ssh-ed25519 AAAA… carol@laptop"}),
        help_text="One line, as in authorized_keys. Leave empty to create a key pair and download its private key.",
    )

    class Meta:
        model = Supplier
        fields = ["name", "max_running", "max_queued", "can_remove_files"]
        labels = {
            "max_running": "Maximum running file requests",
            "max_queued": "Maximum queued file requests",
        }
        help_texts = {
            "name": "Lower-case letters, digits, - and _. Also the SFTP user name.",
            "max_running": "Leave empty to use the deployment's default.",
            "max_queued": "Leave empty to use the deployment's default.",
        }
        error_messages = {"name": {"unique": "A supplier of this name already exists."}}

    def clean_public_key(self) -> str:
        """Return the key without its comment, or an empty text.

        Raises:
            ValidationError: the text is not a public key.
        """
        line: str = self.cleaned_data["public_key"]
        try:
            return normalised_public_key(line) if line else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("exports.add_supplier")
def new_supplier(request: HttpRequest) -> HttpResponse:
    """Show the form; on POST create the supplier and its keys, and answer with the hand-over page."""
    form = SupplierForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "portal/new_supplier.html", {"form": form})
    with transaction.atomic():
        supplier = form.save()
        api_key = hand_over.create_api_key(supplier, hand_over.FIRST_KEY_LABEL)
        key_pair = None
        if public_key := form.cleaned_data["public_key"]:
            hand_over.add_ssh_key(supplier, public_key, hand_over.FIRST_KEY_LABEL)
        else:
            key_pair = hand_over.create_key_pair(supplier, hand_over.FIRST_KEY_LABEL)
    return _hand_over_page(request, supplier, api_key=api_key, key_pair=key_pair, is_new=True)


@never_cache
@require_POST
@staff_required("exports.add_apikey")
def new_api_key(request: HttpRequest, name: str) -> HttpResponse:
    """Create one more API key, and show it on the hand-over page."""
    supplier = get_object_or_404(Supplier, name=name)
    return _hand_over_page(request, supplier, api_key=hand_over.create_api_key(supplier))


@never_cache
@require_POST
@staff_required("exports.add_sshkey")
def new_key_pair(request: HttpRequest, name: str) -> HttpResponse:
    """Create one more key pair, and offer the download of its private key on the hand-over page."""
    supplier = get_object_or_404(Supplier, name=name)
    return _hand_over_page(request, supplier, key_pair=hand_over.create_key_pair(supplier))


def _hand_over_page(
    request: HttpRequest,
    supplier: Supplier,
    *,
    api_key: str | None = None,
    key_pair: KeyPair | None = None,
    is_new: bool = False,
) -> HttpResponse:
    """Render the hand-over page as the answer to the form.

    Without a redirect, the server need not store the keys for a second request.
    """
    # Imported here, because it needs paramiko; see exports.delivery.push_keys.
    from exports.sftp.host_keys import known_hosts_lines

    host, port = settings.SFTP_PUBLIC_HOST, settings.SFTP_PORT
    key_option = f"-i {supplier.name}.pem " if key_pair else ""
    now = timezone.now()
    context = {
        "supplier": supplier,
        "api_key": api_key,
        "key_pair": key_pair,
        "private_key_link": _private_key_link(key_pair) if key_pair else None,
        "is_new": is_new,
        "public_url": settings.HEADEND_PUBLIC_URL,
        "sftp_host": host,
        "sftp_port": port,
        "sftp_command": f"sftp {key_option}-P {port} {supplier.name}@{host}",
        "sftp_command_all": f"sftp {key_option}-P {port} -r {supplier.name}@{host}:. .",
        "known_hosts": known_hosts_lines(host, port),
        "example_start": now - timedelta(hours=1),
        "example_end": now,
    }
    return render(request, "portal/hand_over.html", context)


def _private_key_link(key_pair: KeyPair) -> str:
    """Return the private key as a ``data:`` URL. The page has the only copy; the server stores none."""
    encoded = base64.b64encode(key_pair.private_key.encode()).decode()
    return f"data:application/x-pem-file;base64,{encoded}"
