"""The operators' pages and the suppliers' downloads."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
