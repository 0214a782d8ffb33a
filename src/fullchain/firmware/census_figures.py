"""Figures of what the trigger sees, from the numbers of `census`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.firmware.census_figure_names import FEATURES
from fullchain.plotting import COLOURS, LINESTYLES

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]

WORDS = {
    "mass_mmdt": "mass after mMDT [GeV]",
    "multiplicity": "multiplicity",
    "zlogz": r"$\sum z \ln z$",
    "c1_b0": r"$C_1^{(0)}$",
    "c1_b1": r"$C_1^{(1)}$",
    "c1_b2": r"$C_1^{(2)}$",
    "c2_b1": r"$C_2^{(1)}$",
    "c2_b2": r"$C_2^{(2)}$",
    "d2_b1": r"$D_2^{(1)}$",
    "d2_b2": r"$D_2^{(2)}$",
    "d2_a1_b1": r"$D_2^{(1,1)}$",
    "d2_a1_b2": r"$D_2^{(1,2)}$",
    "m2_b1": r"$M_2^{(1)}$",
    "m2_b2": r"$M_2^{(2)}$",
    "n2_b1": r"$N_2^{(1)}$",
    "n2_b2": r"$N_2^{(2)}$",
    "leading_share": "share of pT in the leading candidates",
}
"""How axes and tables name the features."""

SHOWN = ("mass_mmdt", "multiplicity", "zlogz", "c1_b1", "n2_b1", "d2_a1_b2")
"""Features that are drawn, where they are there; otherwise the first ones that are."""


def figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name; `contents` has the one census of the run, or none."""
    found: Drawn = {}
    for one in contents:
        found[FEATURES] = _features(one)
    return found


def shown(features: Sequence[str]) -> list[str]:
    """Give those of the features that are drawn, at most as many as `SHOWN`."""
    first = [name for name in SHOWN if name in features]
    others = [name for name in features if name not in first]
    return (first + others)[: len(SHOWN)]


def _features(one: Content) -> tuple[Figure, str]:
    names = shown(list(one["features"]))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    fig, axes = plotting.panels(columns=columns, rows=rows)
    for place, ax in enumerate(axes.flat):
        if place >= len(names):
            ax.set_axis_off()
            continue
        _feature(ax, names[place], one["features"][names[place]], legend=place == 0)
    jets = ", ".join(f"{name} {about['jets']}" for name, about in one["classes"].items())
    caption = (
        "What the trigger sees of jets: features made of the candidates of a jet, by class, each "
        f"class to unit area with what lies outside the bins. Jets: {jets}. Bands are statistical."
    )
    return fig, caption


def _feature(ax: Axes, name: str, feature: Content, *, legend: bool) -> None:
    edges = np.array(feature["edges"])
    for number, (label, about) in enumerate(feature["classes"].items()):
        counted = about["histogram"]
        counts = np.array(counted["counts"], dtype=float)
        total = counts.sum() + counted["below"] + counted["above"]
        scale = 1.0 / (total * np.diff(edges))
        drawing.histogram(
            ax,
            counts * scale,
            edges,
            errors=np.sqrt(counts) * scale,
            label=label,
            color=COLOURS[number % len(COLOURS)],
            linestyle=LINESTYLES[number % len(LINESTYLES)],
        )
    ax.set_xlim(edges[0], edges[-1])
    plotting.finish(ax, xlabel=WORDS.get(name, name), ylabel="density", right="", legend=legend)
