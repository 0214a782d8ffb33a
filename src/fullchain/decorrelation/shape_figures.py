"""Draw the mass before and after cuts, and the efficiency of the cuts against it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fullchain.decorrelation import looks
from fullchain.decorrelation.frontier_figures import legend_below
from fullchain.drawing import histogram
from fullchain.plotting import COLOURS, FigureSet, finish, panels

Numbers = dict[str, Any]


def draw(figures: FigureSet, one: Numbers) -> None:
    """Draw the figures of one classifier, a figure for each column."""
    for column in one["against"]:
        fig, axes = panels(3, size=4.6)
        table = one["shapes"][column]
        for ax, side in zip(axes[0], ("background", "signal"), strict=False):
            _shapes(ax, table, side, column)
        _efficiency(axes[0][2], one, column)
        legend_below(fig, axes[0][0], 4)
        entry = looks.at(one["sculpting"][column], one["signal_efficiency"])
        figures.save(
            fig,
            f"shapes_{one['name']}_{column}",
            f"{column} before and after cuts on {one['name']}",
            f"Shape of {column} of the background (left) and of the signal (middle) before any cut "
            f"and after cuts on {one['name']} at several signal efficiencies, each with area one; "
            "bands are statistical. Right: efficiency of the cuts in bins of equal occupancy of "
            "the background, for background (full) and signal (open), with Wilson's 68 % intervals "
            "for the effective number of jets; bins in which none passes are left out. Dashed: all "
            f"background. {_words(entry)}",
        )


def _words(entry: Numbers) -> str:
    if entry["jsd"] is None:
        return "No background passes the cut that rejection is quoted for."
    flat = entry["flatness"]
    return (
        f"At {100 * entry['signal_efficiency']:g} % signal efficiency {entry['passing']} of "
        f"{entry['jets']} background jets pass; for a flat efficiency chi-squared is "
        f"{flat['chi_squared']:.1f} of {flat['degrees_of_freedom']} degrees of freedom "
        f"(p = {flat['p_value']:.2g})."
    )


def _colour(number: int) -> str:
    return "0.4" if number == 0 else COLOURS[number - 1]


def _shapes(ax: Axes, table: Numbers, side: str, column: str) -> None:
    for number, entry in enumerate(table[side]):
        if entry["content"] is None:
            continue
        point = entry["signal_efficiency"]
        histogram(
            ax,
            entry["content"],
            table["edges"],
            errors=entry["deviation"],
            label="before cuts" if point is None else f"{100 * point:g} % signal",
            color=_colour(number),
        )
    ax.set_xlim(table["edges"][0], table["edges"][-1])
    finish(
        ax, xlabel=looks.axis(column), ylabel=f"part of the {side} per bin", right="",
        legend=False, headroom=1.05,
    )  # fmt: skip


def _efficiency(ax: Axes, one: Numbers, column: str) -> None:
    table = one["dependence"][column]
    edges = np.array(table["edges"])
    centres, widths = 0.5 * (edges[1:] + edges[:-1]), 0.5 * (edges[1:] - edges[:-1])
    for number, point in enumerate(table["working_points"]):
        colour = _colour(number + 1)
        for side, full in (("background", True), ("signal", False)):
            filled = [k for k, row in enumerate(point[side]) if row and row["value"] > 0]
            rows = [point[side][k] for k in filled]
            ax.errorbar(
                centres[filled],
                [row["value"] for row in rows],
                xerr=widths[filled],
                yerr=[
                    [row["value"] - row["low"] for row in rows],
                    [row["high"] - row["value"] for row in rows],
                ],
                fmt="o" if full else "s",
                mfc=colour if full else "white",
                color=colour,
            )
        everything = looks.at(one["working_points"], point["signal_efficiency"])
        ax.axhline(
            everything["background_efficiency"]["value"], color=colour, linestyle="--",
            linewidth=0.8,
        )  # fmt: skip
    ax.set_xlim(edges[0], edges[-1])
    finish(ax, xlabel=looks.axis(column), ylabel="efficiency", logy=True, right="", legend=False,
           headroom=1.05)  # fmt: skip
