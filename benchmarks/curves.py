"""``python -m benchmarks.curves``: draw the curves of ``benchmarks/growth.json`` as SVG files in ``docs/diagrams/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from benchmarks.growth import GROWTH_FILE

FOLDER = Path(__file__).parent.parent / "docs" / "diagrams"
AXES = {
    "readings": "stored readings",
    "meters": "meters",
    "workers": "workers",
    "suppliers": "suppliers that follow pages at once",
}
# The colours of docs/diagrams/data-flow.svg on a light background, and those that replace them on a dark one.
TEXT, NOTE, GRID = "#1f2933", "#52606d", "#cbd2d9"
LINES = ("#1976d2", "#ef6c00", "#2e7d32", "#8e24aa", "#c62828")
ON_DARK = {
    TEXT: "#e4e7eb", NOTE: "#aab5c0", GRID: "#3e4c59", "#1976d2": "#64b5f6", "#ef6c00": "#ffb74d",
    "#2e7d32": "#81c784", "#8e24aa": "#ce93d8", "#c62828": "#ef9a9a", "#5d4037": "#bcaaa4",
    "#00838f": "#4dd0e1",
}  # fmt: skip
_WIDTH, _HEIGHT = 9.8, 4.4
STYLE: dict[Any, Any] = {
    # Text stays text, and the same points give the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "headend",
    "font.size": 10,
    "text.color": TEXT,
    "axes.edgecolor": NOTE,
    "axes.labelcolor": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": GRID,
    "xtick.color": NOTE,
    "ytick.color": NOTE,
}


def main() -> None:
    """Draw every quantity."""
    for file in draw(GROWTH_FILE, FOLDER):
        print(file)


def draw(growth: Path, folder: Path) -> list[Path]:
    """Draw one file per quantity into the folder, and return the files."""
    files = []
    for name, measured in json.loads(growth.read_text(encoding="utf-8")).items():
        file = folder / f"growth-{name}.svg"
        with mpl.rc_context(STYLE):
            metadata = {"Date": None, "Title": f"How cost grows with {AXES[name]}"}
            _figure(name, measured).savefig(file, format="svg", metadata=metadata)
        file.write_text(with_dark_colours(file.read_text(encoding="utf-8")), encoding="utf-8")
        files.append(file)
    return files


def _figure(name: str, measured: dict[str, Any]) -> Figure:
    """Return a figure with a panel for each unit of the curves."""
    units = list(dict.fromkeys(curve["unit"] for curve in measured["curves"]))
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    figure.patch.set_visible(False)
    panels = figure.subplots(1, len(units), squeeze=False)[0]
    colours = iter(LINES)
    for unit, panel in zip(units, panels, strict=True):
        curves = [curve for curve in measured["curves"] if curve["unit"] == unit]
        for curve in curves:
            _plot(panel, curve, next(colours))
        panel.set(xlabel=AXES[name], ylabel=unit)
        _scale(panel, curves)
        # Above the panel, where it hides no line.
        panel.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1))
    conditions = "{date}, {machine}, load average {load_average:g}".format(**measured)
    figure.supxlabel(conditions, fontsize=8, color=NOTE)
    return figure


def _plot(panel: Axes, curve: dict[str, Any], colour: str) -> None:
    sizes, values = zip(*curve["points"], strict=True)
    panel.plot(sizes, values, marker="o", color=colour, label=curve["what"].replace("`", ""))
    for size, value in zip(sizes, values, strict=True):
        panel.annotate(
            f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", (size, value), xytext=(0, 6),
            textcoords="offset points", ha="center", fontsize=8, color=colour,
        )  # fmt: skip


def _scale(panel: Axes, curves: list[dict[str, Any]]) -> None:
    """Let equal factors have equal distances. Values of the same magnitude start at 0 instead."""
    panel.patch.set_visible(False)
    panel.grid(axis="y")
    panel.margins(0.12, 0.2)
    panel.set_xscale("log")
    points = [point for curve in curves for point in curve["points"]]
    panel.set_xticks(sorted({size for size, _ in points}))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _short(size)))
    values = [value for _, value in points]
    if max(values) > 10 * min(values):
        panel.set_yscale("log")
        panel.yaxis.set_minor_formatter(NullFormatter())
    else:
        panel.set_ylim(0, 1.2 * max(values))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _short(size: float) -> str:
    for factor, name in ((1e9, " bn"), (1e6, " M")):
        if size >= factor:
            return f"{size / factor:g}{name}"
    return f"{size:,g}"


def with_dark_colours(svg: str) -> str:
    """Add a style sheet that replaces the colours on a dark background, as in the other diagrams."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in ON_DARK.items()
        for kind in ("fill", "stroke")
    )
    style = (
        "<style>text{font-family:system-ui,sans-serif !important}"
        f"@media (prefers-color-scheme: dark){{{rules}}}</style>"
    )
    return svg.replace("</metadata>", f"</metadata>{style}", 1)


if __name__ == "__main__":
    main()
