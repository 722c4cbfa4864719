"""A page on which an operator confirms an admin action."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

Row = TypeVar("Row", bound=Model)


def run_if_confirmed(
    model_admin: ModelAdmin[Row],
    request: HttpRequest,
    rows: QuerySet[Row],
    *,
    action: str,
    question: str,
    act: Callable[[Row], bool],
    success: str,
) -> HttpResponse | None:
    """Return a page that asks ``question``, or run ``act`` on each row if the operator has confirmed it.

    ``act`` returns whether it changed the row. ``success`` is the message; ``{}`` in it is replaced by the
    number of changed rows.
    """
    if "confirmed" in request.POST:
        changed = sum(act(row) for row in rows)
        messages.success(request, success.format(changed))
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.opts,
        "action": action,
        "rows": rows,
    }
    return render(request, "admin/confirm_action.html", context)
