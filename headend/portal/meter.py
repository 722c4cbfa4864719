"""The page of one meter: charts, registers, quality, latest readings, missing intervals and corrections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from headend.portal import charts
from headend.portal.access import staff_required
from headend.portal.class_energy import class_label
from headend.portal.coverage import DAY
from headend.portal.error_pages import unknown_meter
from headend.portal.forms import Bounds, window_from_query
from headend.portal.meter_details import (
    corrected_readings,
    quality_counts,
    quality_notes,
    registers,
)
from headend.portal.meter_readings import (
    LATEST_READINGS,
    MeterReadings,
    last_hour,
    listed_from,
    meter_readings,
)
from readings.described_table import described_repository
from readings.device_ids import is_uuid, parse_device_id
from readings.engines import engine_of
from readings.feed import newest_interval
from readings.ingest.deployment_fleet import customer_class_of
from readings.repositories import Snapshot
from readings.window import HOUR

MAX_GAPS = 50
"""The page lists this many gaps and counts all of them."""
MAX_CORRECTED = 20
"""The page lists this many corrected readings and counts all of them."""
CHARTS = [
    ("Energy", "kWh", "kwh"),
    ("Active power", "kW", "kw"),
    ("Voltage", "kV", "vltg"),
    ("Current", "A", "crrnt"),
    ("Power factor", "", "pf"),
]
"""Title, unit and column of each chart."""
TABLE_COLUMNS = {
    "kwh": "kWh",
    "kw": "kW",
    "kva": "kVA",
    "vltg": "kV",
    "crrnt": "A",
    "pf": "Power factor",
    "import_kwh": "Import, kWh",
    "export_kwh": "Export, kWh",
    "quality": "Quality",
}
"""The headings of a table of readings by column."""


@dataclass(frozen=True)
class ShownWindow:
    """What the page shows: the window, the readings in it, and when a silent meter sent its last reading."""

    form: Any
    bounds: Bounds
    newest: datetime
    meter: MeterReadings
    silent_since: datetime | None = None


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
    snapshot = described_repository().snapshot()
    shown = _find_window(request, snapshot, device_id)
    if shown is None:
        return unknown_meter(request, device_id)
    latest, silent_since = shown.meter.latest, shown.silent_since
    load = latest["load"].drop_nulls()
    [customer_class] = customer_class_of([device_id])
    corrected = _corrected_readings(snapshot, device_id, shown)
    context = {
        "device_id": device_id,
        "short_id": device_id[:8] if is_uuid(device_id) else device_id,
        "form": shown.form,
        "last_reading": silent_since,
        "last_reading_age": timesince(silent_since) if silent_since else None,
        "meter": shown.meter,
        "customer_class": class_label(customer_class) if customer_class else None,
        "contracted_load": load[-1] if len(load) else None,
        "registers": registers(latest),
        "qualities": ", ".join(f"{n:,} {name}" for name, n in quality_counts(latest).items()),
        "charts": _charts(shown.meter, shown.bounds),
        "latest": _table(latest.tail(LATEST_READINGS).reverse()),
        "gaps": shown.meter.gaps[:MAX_GAPS],
        "corrected": [(time, _table(versions)) for time, versions in corrected[:MAX_CORRECTED]],
        "corrected_count": len(corrected),
    }
    return render(request, "portal/meter.html", context)


def _find_window(request: HttpRequest, snapshot: Snapshot, device_id: str) -> ShownWindow | None:
    newest = newest_interval() or timezone.now()
    form, bounds = window_from_query(request.GET, (newest - DAY, newest))
    meter = meter_readings(snapshot, device_id, bounds, newest)
    if len(meter.latest):
        return ShownWindow(form, bounds, newest, meter)
    hour = last_hour(snapshot, device_id)
    if hour is None:
        return None
    if form.is_bound:
        return ShownWindow(form, bounds, newest, meter, silent_since=hour)
    newest = hour + HOUR
    form, bounds = window_from_query(request.GET, (newest - DAY, newest))
    meter = meter_readings(snapshot, device_id, bounds, newest)
    return ShownWindow(form, bounds, newest, meter, silent_since=meter.latest["time"][-1])


def _corrected_readings(
    snapshot: Snapshot, device_id: str, shown: ShownWindow
) -> list[tuple[datetime, pl.DataFrame]]:
    if not engine_of(settings.READINGS_URL).capabilities.keeps_replaced_versions:
        return []
    start = listed_from(shown.bounds, shown.newest)
    return corrected_readings(snapshot, device_id, start, shown.bounds[1])


def _charts(meter: MeterReadings, bounds: Bounds) -> list[charts.LineChart]:
    """Return a chart for each column that has values. If there is none, return one chart that says so."""
    known = [chart for chart in CHARTS if meter.points[chart[2]].count()]
    notes = quality_notes(meter.latest)
    energy = "Energy per hour" if meter.hourly else "Energy per interval"
    times = meter.points["time"].to_list()
    return [
        charts.line_chart(
            energy if column == "kwh" else title,
            unit,
            list(zip(times, meter.points[column].to_list(), strict=True)),
            *bounds,
            span=HOUR if meter.hourly else timedelta(0),
            notes={} if meter.hourly else notes,
            # The other measures are means, which are also right for a part of an hour.
            partial=meter.partial if column == "kwh" else (),
        )
        for title, unit, column in known or [("Active power", "kW", "kw")]
    ]


def _table(readings: pl.DataFrame) -> dict[str, Any]:
    """Return the headings and rows of a table of readings, without columns that have no value."""
    columns = [name for name in TABLE_COLUMNS if readings[name].count()]
    headings = [TABLE_COLUMNS[name] for name in columns]
    rows = [
        {**row, "cells": [(TABLE_COLUMNS[name], _cell(row[name])) for name in columns]}
        for row in readings.iter_rows(named=True)
    ]
    return {"headings": headings, "rows": rows}


def _cell(value: float | str | None) -> str:
    """Return a value as text. A measured value has three decimals, as it is stored."""
    return f"{value:z,.3f}" if isinstance(value, float) else value or "-"
