"""Whether this process answers, and whether what it stands on does."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.stores import export_store
from headend.celery import app as celery_app
from readings.repositories import repository

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
GOOD_FOR_SECONDS = 2.0
OK = "ok"


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process is up."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Each thing the deployment stands on: 200 when all are ok, 503 with a sentence for each that is not."""
    found = readiness.look()
    return JsonResponse(found, status=200 if set(found.values()) == {OK} else 503)


class Probe:
    """One thing that may be down, asked by at most one thread at a time, however long it hangs."""

    def __init__(self, name: str, thing: str, ask: Callable[[], None]) -> None:
        self.name = name
        self._thing = thing
        self._ask = ask
        self._thread: threading.Thread | None = None
        self._outcome = OK

    def start(self) -> None:
        """Ask, unless an earlier question still waits for its answer."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()

    def outcome(self, deadline: float) -> str:
        """``ok`` or one sentence, by ``deadline`` (of the monotonic clock)."""
        assert self._thread is not None
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            return f"The {self._thing} does not answer within {PATIENCE_SECONDS:g} seconds."
        return self._outcome

    def _run(self) -> None:
        try:
            self._ask()
            self._outcome = OK
        # Whatever a client library may raise; its words are for the log, not for strangers.
        except Exception as error:
            self._outcome = f"The {self._thing} cannot be used."
            log.warning(
                "not ready", extra={"part": self.name, "error": f"{type(error).__name__}: {error}"}
            )
        finally:
            connection.close()


class Readiness:
    """The probes together. Asked by many, it asks once: what it found is good for a while."""

    def __init__(self, *probes: Probe) -> None:
        self._probes = probes
        self._looking = threading.Lock()
        self._found: dict[str, str] = {}
        self._good_until = 0.0

    def look(self) -> dict[str, str]:
        """The outcome by name. Who comes while another looks gets what was found before."""
        if not self._looking.acquire(blocking=not self._found):
            return self._found
        try:
            if time.monotonic() >= self._good_until:
                self._found = self._ask()
                self._good_until = time.monotonic() + GOOD_FOR_SECONDS
            return self._found
        finally:
            self._looking.release()

    def _ask(self) -> dict[str, str]:
        for probe in self._probes:
            probe.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        return {probe.name: probe.outcome(deadline) for probe in self._probes}


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _broker() -> None:
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("data_folder_out")
    if folder is not None:
        # kombu takes any folder for a broker; whether it takes messages shows when it is given something.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"headend")
        return
    with celery_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=int(PATIENCE_SECONDS))
        broker.default_channel  # noqa: B018 (SQS and Redis are called when the channel is made)


def _store() -> None:
    repository().snapshot()


def _storage() -> None:
    export_store().probe()


PROBES = (
    Probe("database", "database", _database),
    Probe("broker", "message broker", _broker),
    Probe("store", "store of readings", _store),
    Probe("storage", "storage of export files", _storage),
)
readiness = Readiness(*PROBES)
