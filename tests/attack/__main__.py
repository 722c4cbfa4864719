"""``make attack``: run all attacks against a deployment that this command starts, and print a table."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.attack import host_attacks, http_attacks, poisoned_inputs, revocations, sftp_attacks
from tests.attack.attack import Attack, Report, Scale, run
from tests.attack.target import Target
from tests.deployment import Deployment

ATTACKS: list[Attack] = [
    *http_attacks.ATTACKS, *sftp_attacks.ATTACKS, *poisoned_inputs.ATTACKS, *revocations.ATTACKS,
    *host_attacks.ATTACKS, host_attacks.LAST,
]  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the attacks, print a table, and return 0 if none of them did harm or delayed the innocent client."""
    chosen = _chosen(arguments)
    # paramiko's client logs each refusal.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    console = Console(width=140, highlight=False)
    table = Table(
        "input", "result", "longest delay of the innocent client", "seconds", "", show_lines=True
    )
    passed = True
    with _target() as target:
        for attack in chosen:
            console.print(f"  {attack.__doc__}")
            report = run(attack, target, Scale(), alone=attack is host_attacks.LAST)
            harmless = not report.problems and not report.delayed
            passed = passed and harmless
            table.add_row(*_row(attack, report), "passed" if harmless else "FAILED")
    console.print(table)
    return 0 if passed else 1


@contextmanager
def _target() -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="headend-attack-") as folder:
        deployment = Deployment(Path(folder) / "home", dict(host_attacks.SETTINGS))
        try:
            yield Target.of(deployment.start())
        finally:
            deployment.stop()


def _row(attack: Attack, report: Report) -> tuple[str, str, str, str]:
    result = [*(f"! {problem}" for problem in report.problems[:8]), *report.outcome.lines]
    return (
        (attack.__doc__ or "").partition("\n")[0],
        "\n".join(result),
        str(report.experience),
        f"{report.seconds:.0f}",
    )


def _chosen(arguments: list[str]) -> list[Attack]:
    by_name = {attack.__name__: attack for attack in ATTACKS}
    names = "\n".join(f"  {name:32}{attack.__doc__}" for name, attack in by_name.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.attack",
        description="Attacks a deployment that this command starts, on loopback addresses only, while another supplier"
        " uses it. Prints what the deployment did, and how long the other supplier waited.",
        epilog=f"attacks:\n{names}\n\nexamples:\n  make attack\n  python -m tests.attack slow_bodies many_handles",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="attack", choices=[*by_name, []], help="default: all"
    )
    chosen: list[str] = parser.parse_args(arguments).names
    return [by_name[name] for name in chosen or by_name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
