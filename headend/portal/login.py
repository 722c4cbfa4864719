"""One way in, for the portal and the admin alike."""

from __future__ import annotations

from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy


def admin_login(request: HttpRequest) -> HttpResponse:
    """The admin sends strangers here, and whoever is logged in but may not enter it."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


class ChangePassword(SuccessMessageMixin, PasswordChangeView):  # type: ignore[type-arg] # generic in the stubs alone
    """A password, changed by whose it is."""

    template_name = "portal/change_password.html"
    success_url = reverse_lazy("overview")
    success_message = "Your password is changed."


change_password = ChangePassword.as_view()
