"""Which table of readings the database describes.

``LiveArrival``, ``AwaitedInterval``, ``IntervalTotals``, ``ClassEnergy`` and ``Meter`` are derived from one table. If
``READINGS_URL`` names another table, they are wrong: intervals would not be written again, and the portal would show
totals of other readings. File requests name a version of this table.

`headend process` refuses to start a process that names another table. A process can also be started without it, and
then has other settings if a variable is missing. So :func:`described_repository` refuses too.
"""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, InterfaceError, models, transaction

from headend.config.database_errors import has_no_tables
from headend.config.program import PROGRAM
from readings.models import (
    AwaitedInterval,
    ClassEnergy,
    DescribedTable,
    IntervalTotals,
    LiveArrival,
    Meter,
)
from readings.repositories import ReadingsRepository, repository
from readings.repository_errors import RepositoryUnavailableError

_DERIVED: tuple[type[models.Model], ...] = (
    LiveArrival,
    AwaitedInterval,
    IntervalTotals,
    ClassEnergy,
    Meter,
)
_ONLY_ROW = 1
_confirmed: set[str] = set()
"""The URLs of which the database has confirmed in this process that they name its table."""


class AnotherTableError(RepositoryUnavailableError):
    """``READINGS_URL`` names another table than the one that the database describes."""


def described_repository() -> ReadingsRepository:
    """Return the repository of this deployment, for everything that reads readings for a caller.

    Raises :class:`AnotherTableError`. A database that describes no table yet accepts each of them. After the first call
    that compares the tables, later calls of this process need no query.
    """
    found = repository()
    if settings.READINGS_URL not in _confirmed:
        row = DescribedTable.objects.first()
        if row is not None:
            _refuse_unless_described(found, row)
            _confirmed.add(settings.READINGS_URL)
    return found


def check_table(repository: ReadingsRepository) -> None:
    """Check that the repository can be used. Create a missing table only if the database describes none.

    The table of a deployment may be on a disk that is not mounted. A new table in its place would hide this, and
    :func:`describe` would delete the records. A database without tables describes none. Raises
    :class:`RepositoryUnavailableError`.
    """
    if _described_row() is not None:
        repository.table_id()
    repository.check()


def describe(repository: ReadingsRepository) -> bool:
    """Let the database describe the table of ``repository``. Return whether it described another one.

    Then everything that was derived from the other table is deleted. Scheduled tasks compute it again. Raises
    :class:`RepositoryUnavailableError`.
    """
    table_id = repository.table_id()
    with transaction.atomic():
        row, created = DescribedTable.objects.select_for_update().get_or_create(
            pk=_ONLY_ROW, defaults={"table_id": table_id}
        )
        if created or row.table_id == table_id:
            return False
        for model in _DERIVED:
            model._default_manager.all().delete()
        row.table_id = table_id
        row.save()
    return True


def refuse_other_table(repository: ReadingsRepository) -> None:
    """Raise :class:`AnotherTableError` if the database describes another table than that of ``repository``.

    A database that describes no table yet, or that cannot be used, accepts each of them.
    """
    try:
        row = DescribedTable.objects.first()
    except (DatabaseError, InterfaceError):
        return
    if row is not None:
        _refuse_unless_described(repository, row)


def prepare_to_write(repository: ReadingsRepository) -> None:
    """Do what a command must do before it writes: create the table of a new deployment, and refuse another table.

    A database that describes no table belongs to a new deployment: commands can write readings before ``manage.py
    setup``, also without a database. Raises :class:`RepositoryUnavailableError`.
    """
    try:
        row = _described_row()
    except (DatabaseError, InterfaceError):
        return
    if row is None:
        repository.check()
    else:
        _refuse_unless_described(repository, row)


def _described_row() -> DescribedTable | None:
    """Return None if the database describes no table, or has no tables. Raises the database's error."""
    try:
        return DescribedTable.objects.first()
    except (DatabaseError, InterfaceError) as error:
        if not has_no_tables(error):
            raise
        return None


def _refuse_unless_described(repository: ReadingsRepository, row: DescribedTable) -> None:
    if row.table_id != repository.table_id():
        raise AnotherTableError(
            "READINGS_URL names another table than the one that this deployment uses. Correct READINGS_URL, or set"
            " another HEADEND_HOME and DATABASE_URL. To use the other table from now on, stop all processes and run"
            f" `{PROGRAM} setup`."
        )
