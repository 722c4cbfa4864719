"""``/health/live`` and ``/health/ready``: whether this process works, and whether the services it uses work."""

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
from readings.described_table import refuse_other_table
from readings.repositories import repository

log = logging.getLogger(__name__)

PROBE_TIMEOUT_SECONDS = 3.0
RESULT_VALID_SECONDS = 2.0
OK = "ok"


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200: the process handles requests."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if every service works, otherwise 503 with a sentence for each one that does not."""
    results = readiness.results()
    return JsonResponse(results, status=200 if set(results.values()) == {OK} else 503)


class Probe:
    """A check of one service. It runs in one thread at most, even if the service does not answer.

    Args:
        name: The key in the response of ``/health/ready``.
        service: What the sentence for the caller says, such as ``message broker``.
        check: Uses the service; any exception means that it does not work.
    """

    def __init__(self, name: str, service: str, check: Callable[[], None]) -> None:
        self.name = name
        self._service = service
        self._check = check
        self._thread: threading.Thread | None = None
        self._result = OK

    def start(self) -> None:
        """Start the check, unless an earlier one is still running."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()

    def result(self, deadline: float) -> str:
        """Wait until ``deadline``, in seconds of the monotonic clock, and return ``ok`` or a sentence."""
        assert self._thread is not None
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            return f"The {self._service} does not answer within {PROBE_TIMEOUT_SECONDS:g} seconds."
        return self._result

    def _run(self) -> None:
        try:
            self._check()
            self._result = OK
        # Client libraries raise all kinds of errors. The caller must not see their text: it can have secrets.
        except Exception as error:
            self._result = f"The {self._service} cannot be used."
            log.warning(
                "not ready", extra={"part": self.name, "error": f"{type(error).__name__}: {error}"}
            )
        finally:
            connection.close()


class Readiness:
    """The results of all probes, cached for :data:`RESULT_VALID_SECONDS`. Threads may share it."""

    def __init__(self, *probes: Probe) -> None:
        self._probes = probes
        self._refreshing = threading.Lock()
        self._results: dict[str, str] = {}
        self._valid_until = 0.0

    def results(self) -> dict[str, str]:
        """Return ``ok`` or a sentence for each probe, by name.

        While one thread runs the probes, the others get the results of the last run.
        """
        if not self._refreshing.acquire(blocking=not self._results):
            return self._results
        try:
            if time.monotonic() >= self._valid_until:
                self._results = self._run_probes()
                self._valid_until = time.monotonic() + RESULT_VALID_SECONDS
            return self._results
        finally:
            self._refreshing.release()

    def _run_probes(self) -> dict[str, str]:
        for probe in self._probes:
            probe.start()
        deadline = time.monotonic() + PROBE_TIMEOUT_SECONDS
        return {probe.name: probe.result(deadline) for probe in self._probes}


def _check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_broker() -> None:
    """Raise the error of the broker's library if the broker cannot take messages."""
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("data_folder_out")
    if folder is not None:
        # kombu accepts any folder; only writing a file shows whether the broker can take messages.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"headend")
        return
    with celery_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=int(PROBE_TIMEOUT_SECONDS))
        broker.default_channel  # noqa: B018 (creating the channel calls SQS or Redis)


def _check_repository() -> None:
    # A process that was started with another READINGS_URL must not count as ready.
    refuse_other_table(repository())
    repository().probe()


def _check_export_store() -> None:
    export_store().probe()


PROBES = (
    Probe("database", "database", _check_database),
    Probe("broker", "message broker", check_broker),
    Probe("store", "store of readings (READINGS_URL)", _check_repository),
    Probe("storage", "store of export files (EXPORTS_URL)", _check_export_store),
)
readiness = Readiness(*PROBES)
