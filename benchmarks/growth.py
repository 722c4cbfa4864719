"""``python -m benchmarks.growth``: how cost grows with stored readings, meters, workers and suppliers.

Measures at several sizes and writes ``benchmarks/growth.json``, of which ``python -m benchmarks.curves`` draws the
curves in ``docs/performance.md``. Quantities that are not measured keep their points in the file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.own_process import measure_in_own_process
from benchmarks.preparation import clean_up_after_sigterm, forget_settings, print_needs
from benchmarks.ratio import Point
from benchmarks.report import machine

GROWTH_FILE = Path(__file__).with_name("growth.json")


@dataclass(frozen=True)
class Quantity:
    """What grows. A module of this package measures it with ``measure(folder, *sizes)``, which yields points.

    The disk and the time are the most that it has needed on a machine with 2 cores: a constant, and an amount per unit
    of the largest size.
    """

    module: str
    sizes: tuple[int, ...]
    usual_largest: int
    disk_bytes: tuple[int, float]
    seconds: tuple[int, float]

    def sizes_up_to(self, largest: int) -> list[int]:
        """Return the sizes to measure. The largest itself is always one of them."""
        return [size for size in self.sizes if size < largest] + [largest]


QUANTITIES = {
    "readings": Quantity(
        "growth_readings",
        (10**6, 10**7, 10**8, 10**9),
        usual_largest=10**8,
        disk_bytes=(10**8, 45),
        seconds=(60, 3e-6),
    ),
    "meters": Quantity(
        "growth_meters",
        (5_000, 50_000, 500_000, 1_000_000),
        usual_largest=1_000_000,
        disk_bytes=(10**8, 500),
        seconds=(30, 1e-4),
    ),
    "workers": Quantity(
        "scale", (1, 2, 4), usual_largest=4, disk_bytes=(7 * 10**9, 0), seconds=(180, 60)
    ),
    "suppliers": Quantity(
        "growth_suppliers", (1, 4, 16, 64), usual_largest=64, disk_bytes=(10**9, 0), seconds=(90, 0)
    ),
}


def main() -> int:
    """Return the exit code: 0 if everything was measured, otherwise 1; 2 if the disk is too small."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument(
        "quantity", nargs="*", help=f"what grows: {', '.join(QUANTITIES)} (default: all of them)"
    )
    parser.add_argument(
        "--largest",
        type=int,
        help="the largest size of the one given quantity. "
        "Without it, stored readings grow to 100 million; `readings --largest 1000000000` needs 45 GB",
    )
    parser.add_argument(
        "--output", type=Path, default=GROWTH_FILE, help="default: benchmarks/growth.json"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.quantity if name not in QUANTITIES]:
        parser.error(f"no quantity {unknown[0]}. The quantities: {', '.join(QUANTITIES)}.")
    if options.largest is not None and (len(options.quantity) != 1 or options.largest < 1):
        parser.error("--largest needs one quantity, and is at least 1.")
    sizes = {
        name: QUANTITIES[name].sizes_up_to(options.largest or QUANTITIES[name].usual_largest)
        for name in options.quantity or QUANTITIES
    }
    clean_up_after_sigterm()
    forget_settings()
    _print_needs(sizes)
    succeeded = [_measure(name, chosen, options.output) for name, chosen in sizes.items()]
    return 0 if all(succeeded) else 1


def _print_needs(sizes: dict[str, list[int]]) -> None:
    disk_bytes, seconds = [], []
    for name, chosen in sizes.items():
        quantity = QUANTITIES[name]
        disk_bytes.append(quantity.disk_bytes[0] + quantity.disk_bytes[1] * chosen[-1])
        seconds.append(quantity.seconds[0] + quantity.seconds[1] * chosen[-1])
    print_needs(int(max(disk_bytes)), int(sum(seconds)))


def _measure(name: str, sizes: list[int], output: Path) -> bool:
    """Measure one quantity, and replace its points in the file if all sizes were measured."""
    print(f"measuring {name}: {', '.join(f'{size:,}' for size in sizes)}", flush=True)
    load = os.getloadavg()[0]
    rows, succeeded = measure_in_own_process(QUANTITIES[name].module, *sizes)
    if succeeded:
        stored = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
        stored[name] = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": machine(),
            "load_average": round(load, 1),
            "curves": _curves([row for row in rows if isinstance(row, Point)]),
        }
        output.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return succeeded


def _curves(points: list[Point]) -> list[dict[str, Any]]:
    """Return a curve for each thing that was measured, in the order of their first points."""
    curves: dict[str, dict[str, Any]] = {}
    for point in points:
        curve = curves.setdefault(
            point.what, {"what": point.what, "unit": point.unit, "points": []}
        )
        curve["points"].append([point.size, float(f"{point.value:.4g}")])
    return list(curves.values())


if __name__ == "__main__":
    sys.exit(main())
