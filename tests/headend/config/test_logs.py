"""Log lines are JSON, and their own fields are never replaced by fields of the log call."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headend.config.logs import LineFormatter, conflicting
from headend.trace import TraceFilter, begin, end

ROOT = Path(__file__).parents[3]
log = logging.getLogger("headend.tests")


def line_with(**extra: object) -> dict[str, Any]:
    """Return the line of a warning with these fields."""
    record = log.makeRecord(
        log.name, logging.WARNING, "file.py", 1, "words %s", ("here",), None, extra=extra
    )
    TraceFilter().filter(record)
    line: dict[str, Any] = json.loads(LineFormatter().format(record))
    return line


def test_a_line_has_its_own_fields_and_those_of_the_call(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    begin("a-trace")
    log.warning("words %s", "here", extra={"request": "r", "seconds": 1.5})
    end()
    [line] = log_lines()
    assert line.pop("at").startswith("20")
    assert line == {
        "level": "WARNING",
        "logger": "headend.tests",
        "message": "words here",
        "trace": "a-trace",
        "request": "r",
        "seconds": 1.5,
    }


@pytest.mark.parametrize("name", ["at", "level", "logger"])
def test_a_field_of_the_call_does_not_replace_one_of_the_line(name: str) -> None:
    line = line_with(**{name: "forged"})
    assert (line["level"], line["logger"]) == ("WARNING", "headend.tests")
    assert line["at"].startswith("20")
    assert line[f"extra_{name}"] == "forged"


def test_a_field_of_the_call_does_not_replace_the_trace() -> None:
    begin("a-trace")
    assert line_with(trace="forged")["trace"] == "a-trace"
    end()


def test_a_dictionary_that_is_logged_does_not_replace_fields_of_the_line() -> None:
    record = log.makeRecord(
        log.name, logging.ERROR, "f", 1, {"level": "DEBUG", "message": "x", "n": 1}, (), None
    )
    line = json.loads(LineFormatter().format(record))
    assert (line["level"], line["n"]) == ("ERROR", 1)


def test_names_that_a_call_must_not_use_are_known() -> None:
    names = ["name", "message", "asctime", "args", "module", "level", "at", "logger", "trace"]
    assert conflicting([*names, "request", "peer"]) == {*names}


def calls_with_fields() -> Iterator[tuple[str, ast.expr, ast.AST]]:
    """Yield the place, the argument ``extra`` and the function of each call that has such an argument.

    A method ``_log_fields`` returns such an argument.
    """
    for package in ("headend", "exports", "readings"):
        for path in (ROOT / package).rglob("*.py"):
            functions = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for function in functions:
                if not isinstance(function, ast.FunctionDef):
                    continue
                for call in ast.walk(function):
                    values = []
                    if isinstance(call, ast.Call):
                        values = [each.value for each in call.keywords if each.arg == "extra"]
                    elif isinstance(call, ast.Return) and function.name == "_log_fields":
                        values = [call.value] if call.value else []
                    for value in values:
                        yield f"{path.relative_to(ROOT)}:{value.lineno}", value, function


def field_names(node: ast.AST) -> set[str]:
    """Return the keys of all dictionaries in the code, and those that are assigned."""
    keys = {
        key.value
        for each in ast.walk(node)
        if isinstance(each, ast.Dict)
        for key in each.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    assigned = {
        each.slice.value
        for each in ast.walk(node)
        if isinstance(each, ast.Subscript)
        and isinstance(each.ctx, ast.Store)
        and isinstance(each.slice, ast.Constant)
        and isinstance(each.slice.value, str)
    }
    return keys | assigned


def test_no_call_uses_a_name_that_the_line_has_already() -> None:
    found = list(calls_with_fields())
    assert len(found) > 30
    for place, extra, function in found:
        names = field_names(extra if isinstance(extra, ast.Dict) else function)
        assert not conflicting(names), (place, conflicting(names))
