"""Pictures of what was measured, as PNG and SVG."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SIZE_INCHES = (8.0, 4.5)


@dataclass(frozen=True)
class Chart:
    """Lines over one another: `lines` are (x, y) points by the name in the legend. `name` is that of the
    files."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = False
    log_y: bool = False


def distribution(values: Sequence[float]) -> list[tuple[float, float]]:
    """The points of a cumulative distribution: (value, part of the values that are at most that)."""
    ordered = sorted(values)
    return [(value, number / len(ordered)) for number, value in enumerate(ordered, 1)]


def draw(chart: Chart, folder: pathlib.Path) -> list[pathlib.Path]:
    """Write `name.png` and `name.svg` into `folder`; their paths."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=SIZE_INCHES, layout="constrained")
    for label, points in chart.lines.items():
        few = len(points) <= 20
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            label=label,
            marker="o" if few else "",
            linewidth=1.8,
        )
    axes.set(title=chart.title, xlabel=chart.x, ylabel=chart.y)
    axes.set_xscale("log" if chart.log_x else "linear")
    axes.set_yscale("log" if chart.log_y else "linear")
    axes.grid(visible=True, alpha=0.3)
    if len(chart.lines) > 1:
        axes.legend(frameon=False)
    paths = [folder / f"{chart.name}.{kind}" for kind in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
    return paths
