"""Runs the deliveries that are due: push a file to the supplier's server, or call its webhook."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from django.db.models import Count, QuerySet

from exports.delivery import transitions
from exports.delivery.audited_file import DAMAGED
from exports.delivery.push import push
from exports.delivery.push_error import PushError
from exports.delivery.webhook import WebhookError, notify
from exports.leases.heartbeat import Heartbeat, LeasedWork, LeaseLostError
from exports.leases.model import Lease
from exports.models import Delivery, DeliveryKind, PushTarget, Webhook
from exports.stores import FileDamagedError, FileMissingError
from readings.outages import is_outage

log = logging.getLogger(__name__)

CANDIDATES = 8
"""How many due deliveries a worker tries to claim; other workers may claim some of them first."""

MISSING = "The file is missing in the export store."
"""The outcome of a push whose stored file is missing."""
REVOKED = "Stopped: the supplier or its target was deactivated or deleted."
"""The outcome of an attempt that was stopped because its supplier or its target is not active any more."""

INTERRUPTED = "Interrupted: the worker process was stopped."
"""The outcome of an attempt that was not finished when its worker process had to end."""


class UndeliverableError(Exception):
    """There is nothing to deliver, or no target to deliver it to; a retry cannot succeed."""


def deliver_next() -> bool:
    """Run one attempt of the oldest delivery that is due. Return False if none is due.

    A failed attempt is recorded with its outcome and retried later; it raises nothing.
    """
    for pk in _candidates()[:CANDIDATES]:
        lease = transitions.claim(pk)
        if lease is not None:
            _run(LeasedDelivery(lease))
            return True
    return False


def _candidates() -> QuerySet[Delivery, uuid.UUID]:
    """Return the keys of the due deliveries of suppliers that have fewer than ``MAX_RUNNING`` running ones."""
    busy = transitions.running().values("request__supplier").annotate(count=Count("pk"))
    busy_suppliers = busy.filter(count__gte=transitions.MAX_RUNNING).values("request__supplier")
    due = transitions.due().exclude(request__supplier__in=busy_suppliers)
    return due.values_list("pk", flat=True)


class LeasedDelivery(LeasedWork):
    """One attempt of a delivery, of which this worker holds the lease."""

    def __init__(self, lease: Lease[uuid.UUID]) -> None:
        self.lease = lease
        self.delivery = Delivery.objects.select_related("request__supplier").get(pk=lease.pk)
        self.revoked = False
        """Whether the attempt was stopped because its supplier or its target is not active any more."""

    def renew(self) -> bool:
        """Renew the lease. Return False if the delivery was revoked, or if another worker has claimed it."""
        self.revoked = transitions.is_revoked(self.delivery)
        return not self.revoked and transitions.renew(self.lease)

    def fail(self, reason: str) -> None:
        """Record ``reason`` as the outcome. The delivery is retried after a pause, unless this was the last attempt."""
        transitions.release(self.lease, reason)

    def give_back(self) -> None:
        """End the attempt. The delivery is due again at once, even after the last attempt."""
        transitions.give_back(self.lease, INTERRUPTED)

    def run(self, check: Callable[[], None]) -> str:
        """Deliver, and return the result in one sentence, for example the status that the receiver answered.

        ``check`` is called every second, and raises when the lease is lost or the delivery was revoked.
        Raises :class:`UndeliverableError`, and if a retry can succeed ``FileMissingError``, ``PushError`` or
        ``WebhookError``.
        """
        if self.delivery.kind == DeliveryKind.PUSH:
            return self._push(check)
        return self._call_webhook(check)

    def _push(self, check: Callable[[], None]) -> str:
        request = self.delivery.request
        target = PushTarget.objects.filter(supplier=request.supplier, active=True).first()
        if target is None:
            raise UndeliverableError("The push target was deleted or is inactive.")
        if request.is_file_damaged:
            raise FileDamagedError(DAMAGED)
        if not request.has_file:
            cause = (
                "The supplier removed the file."
                if request.is_file_removed
                else "The file has expired."
            )
            raise UndeliverableError(cause)
        transitions.record_target(self.lease, target=str(target))
        return push(request, target, check=check)

    def _call_webhook(self, check: Callable[[], None]) -> str:
        request = self.delivery.request
        webhook = Webhook.objects.filter(supplier=request.supplier, active=True).first()
        if webhook is None:
            raise UndeliverableError("The webhook was deleted or is inactive.")
        transitions.record_target(self.lease, target=webhook.url)
        return notify(request, webhook, delivery_id=self.delivery.pk, check=check)


def _run(work: LeasedDelivery) -> None:
    """Run one attempt under a heartbeat and outside any transaction, then record its outcome."""
    lease, delivery = work.lease, work.delivery
    context = {
        "request": str(delivery.request_id),
        "delivery": delivery.kind,
        "attempt": lease.attempt,
    }
    try:
        with Heartbeat(work) as heartbeat:
            outcome = work.run(heartbeat.check)
    except LeaseLostError:
        if work.revoked:
            _fail_revoked(work, context)
        else:
            log.info("the delivery was given back, or another worker has claimed it", extra=context)
    except (PushError, WebhookError, FileMissingError) as error:
        if work.revoked:
            _fail_revoked(work, context)
            return
        # A missing or damaged file may be restored. If it has expired meanwhile, the next attempt says so.
        outcome = str(error) or MISSING
        work.fail(outcome)
        log.warning("a delivery failed", extra=context | {"outcome": outcome})
    except UndeliverableError as error:
        transitions.fail(lease, str(error))
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
        extra = context | {"outcome": outcome}
        log.error("a delivery failed", extra=extra, exc_info=not is_outage(error))
        work.fail(outcome)
    else:
        transitions.succeed(lease, outcome)
        log.info("delivered", extra=context)


def _fail_revoked(work: LeasedDelivery, context: dict[str, Any]) -> None:
    work.fail(REVOKED)
    log.warning("a delivery was stopped", extra=context | {"outcome": REVOKED})
