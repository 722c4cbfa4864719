"""GET /readings and POST /readings/query: the readings of a window, one page per call. GET /readings/history."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

import readings.schema  # noqa: F401 (drf-spectacular only finds extensions of imported modules)
from headend.api.errors import errors
from headend.api.negotiation import IgnoreClientContentNegotiation
from headend.api.parsers import LargeJSONObjectParser
from readings import frame
from readings.described_table import described_repository
from readings.ingest.settled import settled_until
from readings.instants import format_instant
from readings.page_query import (
    FilterParams,
    HistoryQuery,
    NextQuery,
    ReadingsQuery,
    UrlQuery,
    requested_window,
)
from readings.parameters import query_parameters
from readings.records_json import Records
from readings.repositories import Snapshot
from readings.serializers import ReadingHistory, ReadingsPage
from readings.window import Window

# DRF would copy all fields of a serializer that is made for a call.
_URL_QUERY, _QUERY, _NEXT_QUERY, _FILTER = UrlQuery(), ReadingsQuery(), NextQuery(), FilterParams()
_HISTORY_QUERY = HistoryQuery()
"""They check the parameters of every call, and serialize those of every page."""
_NAMES = [*_QUERY.fields]
"""The parameters, in their order in the URL of a next page. The position, ``after``, is the last one."""
_quoted = lru_cache(maxsize=1_000)(quote_plus)
"""``quote_plus`` with a cache: a client's pages repeat nearly all values in their URLs."""


class ReadingsViewSet(ViewSet):
    """The readings of a window, sorted by time and device id."""

    parser_classes = [LargeJSONObjectParser]
    content_negotiation_class = IgnoreClientContentNegotiation

    @extend_schema(
        operation_id="readings",
        tags=["readings"],
        parameters=[UrlQuery],
        responses={200: ReadingsPage, **errors()},
    )
    def list(self, request: Request) -> HttpResponse:
        """Return one page of readings. For the next page follow `next`, or repeat with `offset` = `last_offset`."""
        selected = _URL_QUERY.valid(query_parameters(request, repeatable={"device_id"}))
        return _page_response(request, selected)

    @extend_schema(
        operation_id="query_readings",
        tags=["readings"],
        parameters=[NextQuery],
        request={"application/json": ReadingsQuery},
        responses={200: ReadingsPage, **errors(413)},
    )
    def query(self, request: Request) -> HttpResponse:
        """Return one page of readings, with the parameters of GET /readings as a JSON object.

        A body may name 50,000 meters. For the next page, POST the same body to `next`.
        """
        position = _NEXT_QUERY.valid(query_parameters(request))
        selected = _QUERY.valid(request.data)
        selected |= {name: position[name] for name in request.query_params}
        return _page_response(request, selected, repeated=_NEXT_QUERY.fields)

    @extend_schema(
        operation_id="reading_history",
        tags=["readings"],
        parameters=[HistoryQuery],
        responses={200: ReadingHistory, **errors(404)},
    )
    def history(self, request: Request) -> Response:
        """Return all versions of one reading, the one that arrived last first.

        A store that does not keep replaced versions has only the valid one.
        """
        wanted = _HISTORY_QUERY.valid(query_parameters(request))
        device_id, time = wanted["device_id"], wanted["time"]
        stored = described_repository().snapshot().versions(Window(time, time, (device_id,)))
        versions = [row for minute in stored for row in minute.rows(named=True)]
        if not versions:
            raise NotFound(f"The meter {device_id} has no reading at {format_instant(time)}.")
        last = len(versions) - 1
        newest_first = [
            {"valid": number == last, **version} for number, version in enumerate(versions)
        ][::-1]
        return Response(ReadingHistory({**wanted, "versions": newest_first}).data)


def _page_response(
    request: Request, selected: dict[str, Any], repeated: Collection[str] | None = None
) -> HttpResponse:
    """Return the page that ``selected`` selects: the valid values of a :class:`ReadingsQuery`.

    ``repeated`` names the parameters that the URL of the next page repeats; None means all.
    """
    if "arrived_after" in selected and "as_of" not in selected:
        # This comes before the snapshot is opened, so the snapshot has every reading that arrived up to this instant.
        selected["as_of"] = max(settled_until(timezone.now()), selected["arrived_after"])
    # A client that asks for new arrivals never asks again for those up to `as_of`, so the page must have all of them.
    store = described_repository()
    arrivals_only = "arrived_after" in selected
    snapshot = store.snapshot() if arrivals_only else store.recent_snapshot()
    records = _records_of(snapshot, selected)
    if not (arrivals_only or records.more) and "after" in selected:
        # The process that answered the page before may have seen readings that this one has not seen yet.
        newer = store.newer_snapshot(snapshot)
        records = records if newer is None else _records_of(newer, selected)
    head = json.dumps(_page_head(request, selected, records, repeated)).encode()
    # The text is complete. DRF's Response would choose a renderer, and call it later.
    content = head[:-1] + b', "records": ' + records.text + b"}"
    return HttpResponse(content, content_type="application/json")


def _records_of(snapshot: Snapshot, selected: Mapping[str, Any]) -> Records:
    window, offset, size = requested_window(selected), selected["offset"], selected["page_size"]
    after, columns = selected.get("after"), selected.get("columns", frame.COLUMNS)
    needed = columns
    if columns is not frame.COLUMNS:
        # The link to the next page needs the last reading's identity.
        needed = [*columns, *(name for name in frame.ORDER if name not in columns)]
    elif after is not None:
        records = snapshot.next_records(window, after, size=size, offset=offset)
        if records is not None:
            return records
    page = snapshot.page(window, offset=offset, size=size, after=after, columns=needed)
    return Records.of(page.readings, columns, offset=offset, more=page.more)


def _page_head(
    request: Request,
    selected: dict[str, Any],
    records: Records,
    repeated: Collection[str] | None,
) -> dict[str, Any]:
    """Return a :class:`ReadingsPage` in its canonical form, without its records."""
    last_offset = selected["offset"] + records.count
    last_date = format_instant(records.last.time) if records.last else None
    params = _FILTER.to_representation(selected)
    next_url = None
    if records.more and records.last and last_date:
        values = params | {"page_size": selected["page_size"], "offset": last_offset}
        parameters = _query_string(values, _NAMES if repeated is None else repeated)
        after = f"{_quoted(last_date)}%2C{quote_plus(records.last.device_id)}"
        next_url = f"{request.build_absolute_uri(request.path)}?{parameters}&after={after}"
    return {
        "filter_params": params,
        "results": {
            "records_total": records.count,
            "last_offset": last_offset,
            "last_date": last_date,
        },
        "next": next_url,
    }


def _query_string(values: Mapping[str, Any], names: Iterable[str]) -> str:
    # `urlencode` takes several times as long: it also quotes the names.
    parameters = []
    for name in names:
        if name in values:
            value = values[name]
            if isinstance(value, list):
                parameters += [f"{name}={quote_plus(each)}" for each in value]
            else:
                parameters.append(f"{name}={_quoted(str(value))}")
    return "&".join(parameters)
