"""Login and password change, shared by the portal and the admin."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy

MAX_USERNAME_LENGTH = 150
"""The limit of Django's user names."""


class LoginForm(AuthenticationForm):
    """Django's form with the labels of the portal. It also checks the length of a user name, as Django's does not."""

    username = UsernameField(label="User name", widget=forms.TextInput(attrs={"autofocus": True}))
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "Please enter a correct user name and password. Note that both fields may be case-sensitive.",
    }

    def clean_username(self) -> str:
        """Refuse a name that no user can have. A longer one would not fit into the record of failed logins."""
        username: str = self.cleaned_data["username"]
        if len(username) > MAX_USERNAME_LENGTH:
            raise self.get_invalid_login_error()
        return username


def admin_login(request: HttpRequest) -> HttpResponse:
    """Redirect to the portal's login page.

    The admin also redirects users here who are logged in but may not use it. They get 403: another redirect would lead
    them back to the admin, again and again.
    """
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


class ChangePassword(SuccessMessageMixin, PasswordChangeView):  # type: ignore[type-arg] # generic in the stubs only
    """Change the user's own password, then return to the overview."""

    template_name = "portal/change_password.html"
    success_url = reverse_lazy("overview")
    success_message = "Password changed."


change_password = ChangePassword.as_view()
