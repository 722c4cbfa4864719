"""``manage.py store``: create, show and delete the store of readings, and copy readings from one store to another."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser

from exports.templatetags.file_size import file_size
from headend.config import service_urls
from headend.config.program import PROGRAM
from headend.deployment.exclusive_use import is_in_use
from headend.management.store_copy import StoreCopy
from headend.management.typed_confirmation import confirm_by_typing
from readings.engines import engine_of, without_password
from readings.ingest.stop_request import stop_when_asked
from readings.instants import FIRST_INSTANT, format_instant, parse_bounded_instant
from readings.management.help_formatter import CommandWithExamples, ExampleFormatter
from readings.repositories import NotOnlyReadingsError, Store, open_repository, open_store
from readings.repositories.contents import Contents, contents_of
from readings.repository_errors import ReadingsRefusedError, RepositoryUnavailableError
from readings.window import Window

_ACTIONS = {
    "create": (
        "create the folder, table or bucket prefix if it does not exist",
        "Create what is missing, and say what was created. What exists stays as it is. For another retention of a "
        f"table in Timestream, use `{PROGRAM} timestream create`.\n"
        "Examples:\n"
        f"  {PROGRAM} store create\n"
        f"  {PROGRAM} store create delta:///srv/readings",
    ),
    "status": (
        "show the engine, the stored readings, and what the engine can and cannot do",
        "Show the engine, the address, which readings are stored, the size, and what the engine can and cannot do.\n"
        "Examples:\n"
        f"  {PROGRAM} store status\n"
        f"  {PROGRAM} store status 'timestream://devices/readings?region=us-east-1'",
    ),
    "destroy": (
        "delete all readings and everything else that belongs to the store",
        "Delete all readings and everything else that belongs to the store. You must type the store's name, or add "
        f"--yes. A folder that holds other files is refused. So is the store of this deployment while `{PROGRAM} run` "
        "runs on this host; stop processes on other hosts yourself.\n"
        "Examples:\n"
        f"  {PROGRAM} store destroy\n"
        f"  {PROGRAM} store destroy delta:///srv/old-readings --yes",
    ),
}
"""The help of each action: one line for the list of actions, and the description for ``--help``."""

_COPY = (
    "Copy the readings of FROM to TO with all their columns, one UTC day after the other. TO must exist. Then read "
    "each day from both, and compare the number of readings and a checksum of all columns.\n"
    "If both engines keep them, all versions of a corrected reading are copied, and otherwise the valid one. Readings "
    "that TO has already stay stored. If a day differs at the end, it is reported, and the exit code is 1. A run that was "
    "interrupted continues when it is started again: verified days are skipped, unless their readings have changed.\n"
    "Examples:\n"
    f"  {PROGRAM} store copy delta:///srv/readings 'timestream://devices/readings?region=us-east-1'\n"
    f"  {PROGRAM} store copy delta:///srv/readings delta:///mnt/readings --start 2023-02-01 --end '2023-02-28 23:59'"
)


class Command(CommandWithExamples):
    """Creates, shows or deletes a store of any engine, or copies readings between two of them."""

    help = (
        "Create, show or delete the place where readings are stored: a folder, a table or a bucket prefix. "
        "The default is the store of READINGS_URL. You can also copy readings from one store to another.\n"
        "Examples:\n"
        f"  {PROGRAM} store status\n"
        f"  {PROGRAM} store create 'timestream://devices/readings?region=us-east-1'\n"
        f"  {PROGRAM} store copy delta:///srv/readings delta:///mnt/readings\n"
        f"  {PROGRAM} store destroy delta:///srv/old-readings"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the actions and their options."""
        actions = parser.add_subparsers(dest="action", required=True)
        for name, (line, description) in _ACTIONS.items():
            action = actions.add_parser(
                name, help=line, description=description, formatter_class=ExampleFormatter
            )
            action.add_argument(
                "url", nargs="?", metavar="URL", help="a READINGS_URL (default: the setting)"
            )
            if name == "destroy":
                action.add_argument(
                    "--yes", action="store_true", help="delete without asking for the name"
                )
        copy = actions.add_parser(
            "copy",
            help="copy readings from one store to another, and compare both",
            description=_COPY,
            formatter_class=ExampleFormatter,
        )
        copy.add_argument("source", metavar="FROM", help="the READINGS_URL to read from")
        copy.add_argument("target", metavar="TO", help="the READINGS_URL of an existing store")
        copy.add_argument("--start", help="copy readings from this time on (default: all)")
        copy.add_argument("--end", help="copy readings up to this time, inclusive (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the action."""
        try:
            if options["action"] == "copy":
                self._copy(options)
            else:
                self._handle_one_store(options)
        except (RepositoryUnavailableError, NotOnlyReadingsError, ReadingsRefusedError) as error:
            raise CommandError(str(error)) from error

    def _copy(self, options: dict[str, Any]) -> None:
        source_url, target_url = options["source"], options["target"]
        window = _window(options["start"], options["end"])
        source, target = checked_store("FROM", source_url), checked_store("TO", target_url)
        copy = StoreCopy(source_url, target_url, source, target, window)
        copy.run(self.stdout, self.stderr)

    def _handle_one_store(self, options: dict[str, Any]) -> None:
        url = options["url"] or settings.READINGS_URL
        store = checked_store("URL", url)
        if options["action"] == "create":
            self._print(store.create())
        elif options["action"] == "status":
            with stop_when_asked():
                self._show_status(url, store)
        else:
            self._destroy(store, confirmed=options["yes"])

    def _show_status(self, url: str, store: Store) -> None:
        engine = engine_of(url)
        self._print([f"engine    {engine.title}", f"address   {without_password(url)}"])
        if store.exists():
            contents, size = contents_of(open_repository(url).snapshot()), store.size()
            self._print(_contents_lines(contents))
            shown_size = "not known" if size is None else file_size(size).replace("\xa0", " ")
            self._print([f"size      {shown_size}", *store.describe()])
        else:
            self._print(
                [f"readings  none: the store does not exist; `{PROGRAM} store create` creates it"]
            )
        for has_it, sentence in engine.capabilities.sentences():
            self.stdout.write(f"  {'+' if has_it else '-'} {sentence}")

    def _destroy(self, store: Store, *, confirmed: bool) -> None:
        # Hosts are looked up only if a deployment runs.
        if is_in_use(settings.HEADEND_HOME) and store.is_same_place(
            open_store(settings.READINGS_URL)
        ):
            raise CommandError(
                f"The deployment in {settings.HEADEND_HOME} uses {store.name}. Stop it first. Nothing was deleted."
            )
        if not confirmed:
            confirm_by_typing(
                store.name,
                warning=f"This deletes {store.name} with every reading in it.",
                unchanged="Nothing was deleted.",
            )
        self._print(store.destroy())

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def checked_store(argument: str, url: str) -> Store:
    """Return the store at ``url``. Raises ``CommandError`` with one sentence if the URL is wrong."""
    try:
        engine_of(url)
        service_urls.folders(settings.HEADEND_HOME, {argument: url})
        return open_store(url)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None
    except ValueError as error:
        raise CommandError(f"{argument}: {error}") from None


def _window(start: str | None, end: str | None) -> Window:
    window = Window(
        _instant("--start", start) if start else FIRST_INSTANT,
        _instant("--end", end) if end else None,
    )
    if window.end is not None and window.end < window.start:
        raise CommandError(f"--end {end} is before --start.")
    return window


def _instant(option: str, text: str) -> datetime:
    try:
        return parse_bounded_instant(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from None


def _contents_lines(contents: Contents) -> list[str]:
    days = f"{contents.days:,} day{'' if contents.days == 1 else 's'}"
    lines = [f"readings  {contents.readings:,}, on {days}"]
    if contents.first is not None and contents.last is not None:
        lines.append(f"first     {format_instant(contents.first)}")
        lines.append(f"last      {format_instant(contents.last)}")
    return lines
