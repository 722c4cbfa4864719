"""The page of one meter: charts of its values, its latest readings and its missing intervals."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from headend.portal import charts
from headend.portal.access import staff_required
from headend.portal.coverage import DAY
from headend.portal.forms import Bounds, window_from_query
from headend.portal.meter_readings import MeterReadings, meter_readings
from readings.feed import newest_interval
from readings.repositories import repository

LATEST_READINGS = 12
MAX_GAPS = 50
"""The page lists this many gaps and counts all of them."""
CHARTS = [
    ("Active power", "kW", "kw"),
    ("Voltage", "kV", "vltg"),
    ("Current", "A", "crrnt"),
    ("Power factor", "", "pf"),
]
"""Title, unit and column of each chart."""


@never_cache
@require_safe
@staff_required
def meter_page(request: HttpRequest, device_id: uuid.UUID) -> HttpResponse:
    """Show a meter in the window of the URL query; by default the last day that has readings.

    Answers 404 if the meter has no reading in the default window. A window that the user chose may be empty.
    """
    newest = newest_interval() or timezone.now()
    form, bounds = window_from_query(request.GET, (newest - DAY, newest))
    meter = meter_readings(repository().snapshot(), str(device_id), bounds, newest)
    if meter.latest.is_empty() and not form.is_bound:
        raise Http404
    context = {
        "device_id": str(device_id),
        "form": form,
        "meter": meter,
        "contracted_load": meter.latest["load"][-1] if len(meter.latest) else None,
        "charts": _charts(meter, bounds),
        "latest": meter.latest.tail(LATEST_READINGS).reverse().to_dicts(),
        "gaps": meter.gaps[:MAX_GAPS],
    }
    return render(request, "portal/meter.html", context)


def _charts(meter: MeterReadings, bounds: Bounds) -> list[charts.LineChart]:
    return [
        charts.line_chart(
            title, unit, list(meter.points.select("time", column).iter_rows()), *bounds
        )
        for title, unit, column in CHARTS
    ]
