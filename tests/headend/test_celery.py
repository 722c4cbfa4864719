"""How Celery's workers start."""

from __future__ import annotations

import os
import warnings

import pytest
from celery.platforms import check_privileges  # type: ignore[attr-defined] # missing in the stubs
from celery.signals import celeryd_init

from headend.celery import app


def test_a_worker_of_root_starts_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("getuid", "geteuid", "getgid", "getegid"):
        monkeypatch.setattr(os, name, lambda: 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning, match="superuser privileges"):
            check_privileges(app.conf.accept_content)
        celeryd_init.send(sender="worker@host", instance=None, conf=app.conf, options={})
        check_privileges(app.conf.accept_content)
