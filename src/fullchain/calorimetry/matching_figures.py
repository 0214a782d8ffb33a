"""Figures of flow matching: quality and time against evaluations of the velocity."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import plotting
from fullchain.calorimetry.matching_figure_names import SOLVERS
from fullchain.plotting import COLOURS

Content = Mapping[str, Any]

LOOKS = {
    "euler": (COLOURS[0], "o", "Euler"),
    "midpoint": (COLOURS[1], "s", "midpoint"),
    "rk4": (COLOURS[2], "^", "Runge-Kutta 4"),
    "dopri5": (COLOURS[3], "v", "Dormand-Prince 5(4)"),
    "bespoke": (COLOURS[6], "*", "bespoke"),
}

SHOWN = (
    ("distance", "distance to the exact solution"),
    ("EC_r", "mean separation of layer radii"),
    ("ms", "time per shower [ms]"),
)


def figures(contents: Sequence[Content]) -> dict[str, tuple[Figure, str]]:
    """Give figures with captions, by name: a row of panels for each model."""
    fig, axes = plotting.panels(columns=len(SHOWN), rows=len(contents), size=4.6)
    for row, one in zip(axes, contents, strict=True):
        for ax, (quantity, title) in zip(row, SHOWN, strict=True):
            _panel(ax, one, quantity)
            ax.set_ylabel(title)
        row[-1].legend(fontsize=10, loc="upper left")
        plotting.label(row[0], right="")
        row[-1].set_title(str(one["model"]), loc="right", fontsize=12)
    first = contents[0]
    caption = (
        "Flow matching with different solvers against evaluations of the velocity of voxels in "
        f"each, at the energies of {first['showers']} test showers and from the same normal "
        "numbers: root mean square distance of the generated numbers, whose width is one, to the "
        "exact solution (left), separation of the mean radius in layers from test showers (middle; "
        "dashed: the exact solution with its uncertainty), and CPU time with "
        f"{first['threads']} thread(s) at batches of {first['batch']} (right). Errors: bootstrap; "
        "of times, from batches."
    )
    return {SOLVERS: (fig, caption)}


def _panel(ax: Axes, one: Content, quantity: str) -> None:
    for method, (colour, marker, name) in LOOKS.items():
        points = sorted(
            (point for point in one["points"] if point["method"].split(":")[0] == method),
            key=lambda point: float(point["evaluations"]),
        )
        if not points:
            continue
        values = [value(point, quantity) for point in points]
        ax.errorbar(
            [point["evaluations"] for point in points],
            [middle for middle, _ in values],
            yerr=[error for _, error in values],
            fmt=marker,
            linestyle="none" if method == "bespoke" else "-",
            markersize=11 if method == "bespoke" else 5,
            color=colour,
            label=name,
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.margins(0.08)
    ticks = [2**power for power in range(8)]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    numbers = [float(point["evaluations"]) for point in one["points"]]
    ax.set_xlim(0.8 * min(numbers), 1.25 * max(numbers))
    if quantity not in ("distance", "ms"):
        middle, error = value(one["exact"], quantity)
        ax.axhline(middle, color="0.4", linestyle="--", linewidth=1.0)
        ax.axhspan(max(middle - error, 1e-9), middle + error, color="0.85", zorder=0)
    low, high = ax.get_ylim()
    # For the legend.
    ax.set_ylim(low, high * (high / low) ** 0.4 if quantity == "ms" else high)
    ax.set_xlabel("evaluations")


def value(point: Content, quantity: str) -> tuple[float, float]:
    """Give a quantity of a point and its uncertainty."""
    found = point[quantity] if quantity in point else point["separations"][quantity]
    return float(found[0]), float(found[1])
