"""Requests whose headers, paths and parameters no honest client sends. No answer may be 5xx."""

from __future__ import annotations

import http.client
from collections import Counter

from tests.attack.attack import Outcome, Scale
from tests.attack.target import Target

_PATHS = [
    "/", "/login/", "/readings", "/readings/query", "/readings/file", "/readings/files", "/api/schema/",
    "/api/docs/", "/admin/", "/admin/login/", "/health/live", "/health/ready", "/metrics", "/fleet/", "/requests/",
    "/deliveries/", "/suppliers/", "/static/none", "/nowhere",
]  # fmt: skip
_CHARSETS = ["punycode", "rot13", "hex", "idna", "undefined", "zip", "unicode_escape", "\\"]
_HEADERS = [
    *({"Content-Type": f"application/json; charset={charset}"} for charset in _CHARSETS),
    *({"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"} for charset in _CHARSETS),
    {"Content-Type": "application/json; a*=bogus''%41"}, {"Accept": "text/html; a*=bogus''%41"},
    {"Content-Type": "multipart/form-data; boundary="}, {"Content-Type": "multipart/form-data; boundary=" + "b" * 500},
    {"Content-Type": ";"}, {"Content-Type": "/"}, {"Accept": "*"}, {"Accept": ";q=x"}, {"Accept-Language": "x" * 5000},
    {"Accept-Encoding": "gzip;q=nan"}, {"Host": "localhost:99999"}, {"Host": "a..b"}, {"Host": "[::1"},
    {"X-Forwarded-Host": "evil:99999"}, {"X-Forwarded-Port": "x"}, {"Authorization": "Token \xff"},
    {"Authorization": "Bearer"}, {"Cookie": "sessionid=\x01; csrftoken=" + "x" * 3000}, {"Range": "bytes=-" + "9" * 400},
    {"If-None-Match": '"' * 300}, {"Idempotency-Key": "\x80" * 300}, {"HX-Request": "\xff"}, {"traceparent": "00-" * 99},
]  # fmt: skip
_QUERIES = [
    "start_date=0001-01-01T00:00:00%2B14:00&end_date=9999-12-31T23:59:59-12:00", "page=1000000000",
    "start=0001-01-01&end=9999-12-31", "pk__in=" + ",".join(["9" * 40] * 5), "user=x", "p=-1", "o=9.9.9", "q=%00",
    "e=1", "id__exact=%00", "page_size=1e9", "page_size=-1", "device_id=%ff", "cursor=%ed%a0%80", "status=" + "x" * 4000,
]  # fmt: skip
_BODIES = [
    b"",
    b"\x00",
    b"{" * 5000,
    b'{"start_date": 1e999}',
    b'{"device_id": ["' + b"9" * 5000 + b'"]}',
    b"a=%ff&" * 2000,
]


def broken_headers(target: Target, scale: Scale, outcome: Outcome) -> None:
    """Broken headers on every URL, with GET and POST."""
    _send_all(
        target,
        outcome,
        [
            (method, path, headers, body)
            for path in _PATHS
            for headers in _HEADERS
            for method, body in (("GET", None), ("POST", b"a=1"))
        ],
    )


def broken_parameters(target: Target, scale: Scale, outcome: Outcome) -> None:
    """Poisoned parameters and bodies on every URL."""
    calls: list[tuple[str, str, dict[str, str], bytes | None]] = [
        ("GET", f"{path}?{query}", {}, None) for path in _PATHS for query in _QUERIES
    ]
    json_type = {"Content-Type": "application/json"}
    calls += [("POST", path, json_type, body) for path in _PATHS for body in _BODIES]
    _send_all(target, outcome, calls)


ATTACKS = [broken_headers, broken_parameters]


def _send_all(
    target: Target,
    outcome: Outcome,
    calls: list[tuple[str, str, dict[str, str], bytes | None]],
) -> None:
    statuses: Counter[str] = Counter()
    for method, path, headers, body in calls:
        try:
            status, _ = target.call(method, path, target.attacker, body=body, headers=headers)
        except (OSError, http.client.HTTPException) as error:
            statuses[type(error).__name__] += 1
            continue
        statuses[f"{status // 100}xx"] += 1
        if status >= 500:
            outcome.problems.append(f"{status}: {method} {path[:60]} {str(headers)[:80]}")
    outcome.lines.append(", ".join(f"{n} {kind}" for kind, n in sorted(statuses.items())))
