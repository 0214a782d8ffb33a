"""Figures of the uncertainty of generated distributions, from variation.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.calorimetry.variation_figure_names import name_of

Content = Mapping[str, Any]

PANELS = 3


def figures(contents: Sequence[Content]) -> dict[str, tuple[Figure, str]]:
    """Give figures with captions, by name."""
    return {name_of(one["model"]): _figure(one) for one in contents}


def chosen(one: Content) -> list[str]:
    """The response, and the energies of the two layers with the most in them."""
    layers = [name for name in one["observables"] if name.startswith("log10_E_layer")]

    def middle(name: str) -> float:
        found = one["observables"][name]
        edges = np.array(found["edges"])
        return float(0.5 * (edges[1:] + edges[:-1]) @ np.array(found["test"]))

    return ["E_tot_over_E_inc", *sorted(layers, key=middle)[::-1][: PANELS - 1]]


def label_of(name: str) -> str:
    """Axis label of an observable."""
    if name == "E_tot_over_E_inc":
        return r"$E_\mathrm{tot}/E_\mathrm{inc}$"
    return rf"$\log_{{10}} E_{{{name.split('_')[-1]}}}$/MeV"


def _figure(one: Content) -> tuple[Figure, str]:
    fig, axes = plotting.panels(columns=PANELS, rows=2)
    for column, name in enumerate(chosen(one)):
        above, below = axes[:, column]
        found = one["observables"][name]
        edges = np.array(found["edges"])
        mean, spread = np.array(found["mean"]), np.array(found["spread"])
        drawing.histogram(above, mean, edges, label="mean of draws", color=plotting.COLOURS[0])
        drawing.band(above, mean, spread, edges, color=plotting.COLOURS[0])
        drawing.points(above, found["test"], edges, errors=found["test_error"], label="test")
        above.set_ylabel("part of showers")
        middle = 0.5 * (edges[1:] + edges[:-1])
        below.axhspan(-1, 1, color="0.9", zorder=0)
        below.plot(middle, found["pull"], "o", color="black", markersize=3)
        reach = max(4.0, 1.1 * float(np.abs(found["pull"]).max()))
        below.set_ylim(-reach, reach)
        below.set_ylabel("pull")
        below.set_xlabel(label_of(name))
    axes[0][0].legend(fontsize=10)
    plotting.label(axes[0][0], right="")
    return fig, (
        f"Uncertainty of distributions that {one['model']} generates: mean and standard deviation "
        f"(band) of {one['draws']} draws of its weights, each with {one['showers']} showers, "
        "against test showers. Below, test minus mean over the combined error: spread over draws, "
        "counting of the test, and counting of a sample."
    )
