"""Figures of a tagger between two generators, from saved numbers."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fullchain.drawing import curve
from fullchain.plotting import COLOURS, FigureSet, figure, finish

Numbers = dict[str, Any]

SMALL = 8
"""Size of the numbers at points."""


def draw(figures: FigureSet, measured: Numbers, right: str) -> None:
    """Draw the area against r, and performance against resilience; `right` names the window."""
    _areas(figures, measured, right)
    _resilience(figures, measured, right)


def _areas(figures: FigureSet, measured: Numbers, right: str) -> None:
    """Draw the area under the ROC curve on each simulation against r."""
    tagger, between = measured["tagger"], measured["between"]
    fig, ax = figure()
    for number, (name, found) in enumerate(between["simulations"].items()):
        values = np.array([point["auc"]["value"] for point in found["points"]])
        errors = np.array([point["auc"]["deviation"] for point in found["points"]])
        colour = COLOURS[number % len(COLOURS)]
        curve(
            ax,
            between["r"],
            values,
            low=values - errors,
            high=values + errors,
            label=_label(between, name),
            color=colour,
        )
        ax.plot(between["r"], values, "o", color=colour)
    ax.axvline(between["working_point"], color="0.5", linewidth=1.0, label="working point")
    ax.set_xlim(-0.03, 1.03)
    # The areas differ in the third digit: an axis from zero would show nothing.
    low, high = ax.get_ylim()
    finish(ax, xlabel="$r$", ylabel="AUC", right=right, legend=False)
    ax.set_ylim(low, high)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center")
    figures.save(
        fig,
        f"between_{tagger}",
        f"{tagger} between two generators",
        f"Area under the ROC curve of {tagger} against r, the part of the second generator in the "
        "mixture that the score is best for, on the test part of both generators and on further "
        "simulations where there are some. Bands are one standard deviation of a bootstrap over "
        "events, which is common to all r: neighbouring points move together. Vertical line: r of "
        "the score.",
    )


def _resilience(figures: FigureSet, measured: Numbers, right: str) -> None:
    """Draw 1/eB on both generators against the difference of background efficiencies."""
    tagger, between = measured["tagger"], measured["between"]
    place = len(between["resilience"][0]["working_points"]) - 1
    fig, ax = figure()
    for name, colour, fill in (("first", COLOURS[0], COLOURS[0]), ("second", COLOURS[1], "white")):
        points = between["simulations"][name]["points"]
        rows = [
            (r, other["working_points"][place]["background"], one["working_points"][place])
            for r, other, one in zip(between["r"], between["resilience"], points, strict=True)
        ]
        drawn = [
            (r, difference, row["rejection"])
            for r, difference, row in rows
            if difference["value"] is not None and not row["rejection"]["is_limit"]
        ]
        ax.errorbar(
            [difference["value"] for _, difference, _ in drawn],
            [rejection["value"] for _, _, rejection in drawn],
            xerr=[difference["deviation"] for _, difference, _ in drawn],
            yerr=[rejection["uncertainty"] for _, _, rejection in drawn],
            fmt="o-",
            color=colour,
            mfc=fill,
            elinewidth=0.8,
            label=_label(between, name),
        )
        for r, difference, rejection in drawn:
            _name(ax, difference["value"], rejection["value"], r, colour)
    ax.axvline(0.0, color="0.5", linewidth=1.0)
    ax.margins(x=0.12)
    ax.autoscale_view()
    efficiency = between["resilience"][0]["working_points"][place]["signal_efficiency"]
    low, high = ax.get_ylim()
    finish(
        ax,
        xlabel="relative difference of background efficiencies",
        ylabel=r"background rejection $1/\epsilon_B$",
        right=right,
        legend=False,
    )
    ax.set_ylim(low, high)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center")
    figures.save(
        fig,
        f"resilience_{tagger}",
        f"Performance of {tagger} versus resilience",
        f"Inverse background efficiency at {100 * efficiency:g} % signal on each generator against "
        "the background efficiency on the second generator less that on the first, over their "
        "mean, both for the cut that is set on the first. Each point is one r (the numbers beside "
        "them), the part of the second generator that the score is best for; zero is a tagger "
        "that does not tell the generators apart. Error bars are those of a bootstrap over events, "
        "the same events for all r. Points without passing background are left out.",
    )


def _label(between: Numbers, name: str) -> str:
    samples = ", ".join(dict.fromkeys(between["samples"][name].values()))
    words = {"first": "first generator", "second": "second generator"}
    return f"{words.get(name, name)} ({samples})"


def _name(ax: Axes, x: float, y: float, r: float, colour: Any) -> None:
    ax.annotate(
        f"{r:g}", (x, y), xytext=(4, 4), textcoords="offset points", color=colour, size=SMALL
    )
