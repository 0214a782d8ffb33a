"""Draw how a result depends on the number of iterations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fullchain.plotting import FigureSet, label
from fullchain.unfolding import looks
from fullchain.unfolding.looks import Numbers

DIAGNOSTICS = (
    ("drift", "change of the weights", True),
    ("change", "change of a bin / Poisson variance", True),
    ("effective_sample_size", "effective sample size", False),
    ("clipped_fraction", "part of the weights at the limit", False),
    ("refolded_chi2", r"$\chi^2$ of the refolded spectrum / bin", True),
)
"""Keys of the diagnostics, labels, and whether on a logarithmic axis."""


def draw(figures: FigureSet, several: Sequence[Numbers]) -> None:
    """Draw the discriminator and what methods report against the iteration."""
    names = looks.observables(several)
    reported = [
        (key, text, log)
        for key, text, log in DIAGNOSTICS
        if any(any(map(any, _series(one, names, key))) for one in several)
    ]
    fig, axes = looks.panels(len(names) + len(reported))
    for name, ax in zip(names, axes, strict=False):
        _discriminators(ax, name, several)
    for (key, text, log), ax in zip(reported, axes[len(names) :], strict=True):
        for one in several:
            look = looks.look(one["method"], several)
            for number, values in enumerate(_series(one, names, key)):
                ax.plot(
                    np.arange(1, len(values) + 1), values, marker=look["marker"],
                    color=look["color"], linewidth=1.2, markersize=4,
                    label=one["method"] if number == 0 else None,
                )  # fmt: skip
        if log:
            looks.logarithmic(ax)
        ax.set_ylabel(text, fontsize=12)
    for ax in axes:
        ax.margins(x=0.05, y=0.1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.tick_params(axis="x", which="minor", bottom=False, top=False)
        ax.set_xlabel("iteration")
    label(axes[0], right="")
    looks.legend_below(fig, axes)
    one = several[0]
    looks.save(
        figures,
        fig,
        f"iterations_{one['measurement']}",
        f"Dependence on iterations, {one['measurement']}",
        f"Triangular discriminator to the truth (times 1000, in fixed bins) after each iteration, "
        f"with the fluctuations of the last one as errors; {looks.what(one)}; {looks.events(one)}. "
        "The dashed line is the prior, before any iteration. A method that kept no spectrum of its "
        "iterations has its last point only. Other panels: what methods report of each iteration; "
        "binned methods have one line for each observable.",
    )


def _discriminators(ax: Axes, name: str, several: Sequence[Numbers]) -> None:
    first = several[0]["observables"][name]["metric"]
    if "triangular" not in first:
        ax.text(0.5, 0.5, "recorded data: no truth", transform=ax.transAxes, ha="center")
        return
    prior = first["triangular"]["prior"]["value"]
    ax.axhline(prior, linewidth=1.4, label="prior", **looks.PRIOR)
    for one in several:
        mine = one["observables"][name]
        points = mine["iterations"]["triangular"] or [mine["metric"]["triangular"]["method"]]
        last = max(len(mine["iterations"]["diagnostics"]), len(points))
        at = np.arange(last - len(points) + 1, last + 1)
        look = looks.look(one["method"], several)
        values = np.array([point["value"] for point in points])
        errors = np.array([point["deviation"] for point in points])
        ax.errorbar(
            at, values, yerr=np.stack([np.minimum(errors, 0.8 * values), errors]),
            marker=look["marker"], color=look["color"], linewidth=1.2, markersize=4,
            label=one["method"],
        )  # fmt: skip
    looks.logarithmic(ax)
    ax.set_ylabel("discriminator x 1000", fontsize=12)
    ax.set_title(several[0]["observables"][name]["label"], fontsize=13, loc="right")


def _series(one: Numbers, names: Sequence[str], key: str) -> list[list[float]]:
    """Values of a diagnostic by iteration: of the method or, where they differ, of observables."""
    found: list[list[float]] = []
    for name in names:
        steps: list[dict[str, Any]] = one["observables"][name]["iterations"]["diagnostics"]
        if not steps or any(key not in step for step in steps):
            continue
        values = [
            step[key] / (step["cells"] if key == "refolded_chi2" else 1.0)
            for step in steps
            if key != "refolded_chi2" or step.get("cells")
        ]
        if values and values not in found:
            found.append(values)
    return found
