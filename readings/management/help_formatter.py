"""How the commands of this app print their help text."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser, DjangoHelpFormatter

from headend.config.project_command import ProjectCommand


class ExampleFormatter(DjangoHelpFormatter):
    """Wraps the lines of a help text, but keeps indented lines, such as commands to copy, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            line
            if line.startswith("  ")
            else super(ExampleFormatter, self)._fill_text(line, width, indent)
            for line in text.splitlines()
        )


class CommandWithExamples(ProjectCommand):
    """A command whose ``help`` has several lines. Indented lines are examples."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return Django's parser of the command with :class:`ExampleFormatter`."""
        return super().create_parser(
            prog_name, subcommand, formatter_class=ExampleFormatter, **kwargs
        )
