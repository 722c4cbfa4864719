"""The page of readings: coverage calendar, load and energy of the fleet, search for meters, store of the readings."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Count, Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from headend.portal.access import staff_required
from headend.portal.class_energy import energy_by_class
from headend.portal.coverage import DAY
from headend.portal.coverage_calendar import calendar_weeks
from headend.portal.energy_units import energy_as_text
from headend.portal.fleet_load import energy, fleet_charts, sums_between, totals_between
from headend.portal.forms import window_from_query
from headend.portal.meter_search import find_meters
from readings.engines import engine_of, without_password
from readings.feed import newest_interval
from readings.models import IntervalTotals

MAX_METERS_FOUND = 20


@never_cache
@require_safe
@staff_required("readings.view_intervaltotals")
def fleet_page(request: HttpRequest) -> HttpResponse:
    """Show the calendar, and the load and energy in the window of the URL query.

    The default window is the last day that has readings.
    """
    now = timezone.now()
    newest = newest_interval() or now
    form, bounds = window_from_query(request.GET, (newest - DAY, newest))
    totals = totals_between(*bounds).aggregate(
        meters=Max("readings"), readings=Sum("readings"), late=Sum("late"), intervals=Count("pk")
    )
    sums = sums_between(*bounds)
    used = energy(sums, *bounds)
    context = {
        "form": form,
        "start": bounds[0],
        "end": bounds[1],
        "totals": totals,
        "imported": energy_as_text(used.imported) if used.is_known else None,
        "exported": energy_as_text(used.exported),
        "charts": fleet_charts(sums, *bounds),
        "classes": energy_by_class(*bounds),
        "weeks": calendar_weeks(now),
        "has_readings": IntervalTotals.objects.exists(),
        "engine": engine_of(settings.READINGS_URL),
        "address": without_password(settings.READINGS_URL),
    }
    return render(request, "portal/fleet.html", context)


@never_cache
@require_safe
@staff_required("readings.view_intervaltotals")
def meter_search_page(request: HttpRequest) -> HttpResponse:
    """List the meters whose device id begins with the query's ``q``; redirect to the meter if only one matches."""
    prefix = request.GET.get("q", "").strip()
    found = find_meters(prefix, MAX_METERS_FOUND + 1) if prefix else []
    if len(found) == 1:
        return redirect("meter", found[0].device_id)
    context = {
        "q": prefix,
        "found": found[:MAX_METERS_FOUND],
        "more": len(found) > MAX_METERS_FOUND,
    }
    return render(request, "portal/meter_search.html", context)
