"""Brings what is due: a file to a supplier's server, or news of a final state to its URL."""

from __future__ import annotations

import logging
from collections.abc import Callable

from exports.delivery.push import PushError, push
from exports.delivery.transitions import PAUSES, claim, due, end, renew
from exports.delivery.webhook import WebhookError, call
from exports.leases.heartbeat import Heartbeat, LeaseLostError
from exports.models import DeliveryAttempt, DeliveryKind, PushTarget, Webhook
from exports.stores import FileMissingError

log = logging.getLogger(__name__)

_CANDIDATES = 8


class GivenUpError(Exception):
    """There is nothing to deliver, or nowhere to deliver it to; trying again does not help."""


def deliver_one() -> bool:
    """Try one delivery that is due; whether there was one."""
    for pk in due().values_list("pk", flat=True)[:_CANDIDATES]:
        attempt = claim(pk)
        if attempt is not None:
            _try(attempt)
            return True
    return False


def _try(attempt: DeliveryAttempt) -> None:
    """One try, under a heartbeat, outside any transaction."""
    delivery = attempt.delivery
    where = {
        "request": str(delivery.request_id),
        "delivery": delivery.kind,
        "attempt": attempt.number,
    }
    try:
        with Heartbeat(lambda: renew(delivery)) as heartbeat:
            outcome = _bring(attempt, heartbeat.check)
    except LeaseLostError:
        log.info("the delivery was given to another worker", extra=where)
        return
    except (PushError, WebhookError) as error:
        end(attempt, str(error), last=attempt.number > len(PAUSES))
        log.warning("a delivery failed", extra=where | {"outcome": str(error)})
    except (GivenUpError, FileMissingError) as error:
        end(attempt, str(error) or "The file is no longer there.", last=True)
    except Exception as error:
        log.exception("a delivery failed", extra=where)
        end(attempt, f"{type(error).__name__}: {error}", last=attempt.number > len(PAUSES))
    else:
        end(attempt, outcome, last=False, succeeded=True)
        log.info("delivered", extra=where)


def _bring(attempt: DeliveryAttempt, check: Callable[[], None]) -> str:
    request = attempt.delivery.request
    if attempt.delivery.kind == DeliveryKind.PUSH:
        target = PushTarget.objects.filter(supplier=request.supplier, active=True).first()
        if target is None:
            raise GivenUpError("The push target is gone or inactive.")
        if not request.has_file:
            raise GivenUpError("The file has expired.")
        _note_target(attempt, str(target))
        return push(request, target, check=check)
    webhook = Webhook.objects.filter(supplier=request.supplier, active=True).first()
    if webhook is None:
        raise GivenUpError("The webhook is gone or inactive.")
    _note_target(attempt, webhook.url)
    return call(request, webhook, delivery_id=attempt.delivery.pk)


def _note_target(attempt: DeliveryAttempt, target: str) -> None:
    DeliveryAttempt.objects.filter(pk=attempt.pk).update(target=target)
