"""Admin actions that end something ask first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

Row = TypeVar("Row", bound=Model)


def confirmed(
    model_admin: ModelAdmin[Row],
    request: HttpRequest,
    chosen: QuerySet[Row],
    *,
    action: str,
    question: str,
    act: Callable[[Row], bool],
    done: str,
) -> HttpResponse | None:
    """Ask ``question``; once it is confirmed, ``act`` on each row and say for how many it counted."""
    if "confirmed" in request.POST:
        count = sum(act(row) for row in chosen)
        messages.success(request, done.format(count))
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.opts,
        "action": action,
        "chosen": chosen,
    }
    return render(request, "admin/confirm_action.html", context)
