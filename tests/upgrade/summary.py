"""Print what a home folder contains, as one JSON object with the keys of ``expected.json``.

A program instead of a function, because the upgraded home is not the one that the tests use::

    HEADEND_HOME=/some/home python -m tests.upgrade.summary API_KEY
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import django


def summary(api_key: str) -> dict[str, Any]:
    """Return readings, requests, deliveries, users and keys, and what ``api_key`` can see over the API."""
    from django.contrib.auth.models import User
    from django.test import Client

    from exports.models import (
        ApiKey,
        Delivery,
        ExportPart,
        FileFetch,
        FileRequest,
        SftpSession,
        SshKey,
        SupplierPerson,
    )
    from readings.instants import format_instant
    from readings.repositories import repository
    from readings.window import Window

    everything = Window(datetime(2020, 1, 1, tzinfo=UTC))
    readings = repository().snapshot().page(everything, offset=0, size=50_000).readings
    listed = Client().get(
        "/readings/files", headers={"Authorization": f"Token {api_key}", "Host": "localhost"}
    )
    return {
        "readings": len(readings),
        "kw": readings["kw"].sum(),
        "first_time": format_instant(readings["time"][0]),
        "last_time": format_instant(readings["time"][-1]),
        "requests": {
            str(request.pk): [
                request.supplier.name,
                request.status,
                request.format,
                request.record_count,
                request.size,
                request.sha256,
                request.location,
            ]
            for request in FileRequest.objects.all()
        },
        "parts": [
            [
                str(part.request_id),
                part.number,
                part.state,
                part.attempts,
                str(part.lease or ""),
                part.record_count,
            ]
            for part in ExportPart.objects.all()
        ],
        "deliveries": [
            [
                str(delivery.request_id),
                delivery.kind,
                delivery.state,
                delivery.attempts,
                [
                    [tried.number, tried.succeeded, tried.outcome]
                    for tried in delivery.attempt_log.all()
                ],
            ]
            for delivery in Delivery.objects.all()
        ],
        "downloads": [
            [str(fetch.request_id), fetch.way, fetch.who, fetch.bytes_sent]
            for fetch in FileFetch.objects.all()
        ],
        "sftp_sessions": SftpSession.objects.count(),
        "users": {user.username: [user.is_staff, user.is_superuser] for user in User.objects.all()},
        "supplier_users": {
            person.user.username: person.supplier.name for person in SupplierPerson.objects.all()
        },
        "api_keys": sorted(ApiKey.objects.values_list("digest", flat=True)),
        "ssh_keys": sorted(SshKey.objects.values_list("fingerprint", flat=True)),
        "listed": sorted(item["request_id"] for item in listed.json()["results"]),
    }


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(summary(sys.argv[1])))
