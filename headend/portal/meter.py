"""The page of one meter: charts of its values, its latest readings and its missing intervals."""

from __future__ import annotations

from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from headend.portal import charts
from headend.portal.access import staff_required
from headend.portal.coverage import DAY
from headend.portal.forms import Bounds, window_from_query
from headend.portal.meter_readings import HOUR, MeterReadings, last_hour, meter_readings
from readings.device_ids import parse_device_id
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
@staff_required("readings.view_intervaltotals")
def meter_page(request: HttpRequest, device_id: str) -> HttpResponse:
    """Show a meter in the window of the URL query; by default the last day that has readings of it.

    Answers 404 if the meter never sent a reading. A window that the user chose may be empty.
    """
    try:
        device_id = parse_device_id(device_id)
    except ValueError:
        raise Http404 from None
    newest = newest_interval() or timezone.now()
    snapshot = repository().snapshot()
    form, bounds = window_from_query(request.GET, (newest - DAY, newest))
    meter = meter_readings(snapshot, device_id, bounds, newest)
    silent_since = None
    if meter.latest.is_empty():
        hour = last_hour(snapshot, device_id)
        if hour is None:
            raise Http404
        silent_since, end = hour, hour + HOUR - timedelta(microseconds=1)
        if not form.is_bound:
            form, bounds = window_from_query(request.GET, (end - DAY, end))
            meter = meter_readings(snapshot, device_id, bounds, end)
            silent_since = meter.latest["time"][-1]
    context = {
        "device_id": device_id,
        "form": form,
        "last_reading": silent_since,
        "last_reading_age": timesince(silent_since) if silent_since else None,
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
