"""The checks of ``manage.py doctor``, in the order in which they are printed."""

from __future__ import annotations

from headend.config.database_errors import DATABASE_HINT
from headend.config.program import SET_UP_HOST
from headend.deployment.bootstrap import BROKER_HINT
from headend.diagnosis import database, host, services, stores
from headend.diagnosis.finding import Check

ALL_CHECKS = (
    Check("versions", host.check_versions, "Install the packages of requirements.lock."),
    Check("settings", services.check_settings, "Correct the settings."),
    Check("home folder", host.check_home, SET_UP_HOST),
    Check("database", database.check_database, DATABASE_HINT),
    Check("migrations", database.check_migrations, DATABASE_HINT),
    Check("clock", database.check_clock, DATABASE_HINT),
    Check("broker", services.check_broker, BROKER_HINT),
    Check("readings", stores.check_readings, stores.READINGS_HINT),
    Check("exports", stores.check_exports, stores.EXPORTS_HINT),
    Check("secrets", services.check_secrets, services.SECRETS_HINT),
    Check("ports", host.check_ports, host.PORTS_HINT),
    Check("disk space", host.check_disks, host.DISKS_HINT),
)
