"""Figures of the weighting of generated showers, from the numbers of `calorimetry control`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.calorimetry.control_figure_names import FEATURES, SEPARATIONS, WEIGHTS, name_of
from fullchain.calorimetry.control_numbers import WORDS, mean_separations, weighted_by
from fullchain.plotting import COLOURS

Content = Mapping[str, Any]
Drawn = tuple[Figure, str]

BEFORE, AFTER = COLOURS[0], COLOURS[2]

SHOWN = 6
"""Features that are drawn: those that were farthest apart."""

RARE = 5e-4
"""Part of showers in a bin with which the axis of a feature begins and ends."""


def figures(contents: Sequence[Content]) -> dict[str, Drawn]:
    """Give figures with captions, by name: those of each model."""
    found = {}
    for content in contents:
        found[name_of(WEIGHTS, content["name"])] = weights(content)
        found[name_of(SEPARATIONS, content["name"])] = separations(content)
        found[name_of(FEATURES, content["name"])] = features(content)
    return found


def weights(content: Content) -> Drawn:
    """Distribution of the weights of generated and of simulated showers."""
    found = content["weights"]
    edges = found["edges_log10"]
    fig, ax = plotting.figure()
    for kind, colour, line in (("generated", AFTER, "-"), ("simulated", "black", "--")):
        drawing.histogram(
            ax, found[kind]["parts"], edges, errors=found[kind]["errors"], color=colour,
            linestyle=line, label=f"{kind} showers",
        )  # fmt: skip
    ax.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
    maximum = float(np.log10(content["resampling"]["maximum"]))
    ax.axvline(maximum, color="0.4", linewidth=1.0, linestyle=":", label="largest used")
    lowest = min(x for kind in ("generated", "simulated") for x in found[kind]["parts"] if x > 0)
    ax.set_ylim(0.5 * lowest, 1.0)
    plotting.finish(
        ax, xlabel=r"$\log_{10}\, w$", ylabel="part of showers", logy=True, right="", headroom=1.3
    )
    return fig, (
        f"Weights of {content['name']}: {weighted_by(content)}. Small weights in "
        "generated showers mark what the simulation does not make, large ones in simulated "
        "showers what the model misses; the outermost bins hold what lies beyond. Errors are "
        "statistical."
    )


def separations(content: Content) -> Drawn:
    """Separations of all kinds of features before and after."""
    found = mean_separations(content)
    fig, ax = plotting.figure(width=7.4, height=5.4)
    at = np.arange(len(found))[::-1].astype(float)
    for when, colour, shift, marker in (
        ("before", BEFORE, 0.15, "s"),
        ("after", AFTER, -0.15, "o"),
    ):
        value, error, chance = np.array([both[when] for both in found.values()]).T
        ax.errorbar(
            value, at + shift, xerr=np.minimum(error, 0.9 * value), fmt=marker, color=colour,
            label=f"{when} weighting",
        )  # fmt: skip
        ax.plot(chance, at + shift, "|", color="black", markersize=9, zorder=1)
    ax.set_xscale("log")
    ax.margins(x=0.06)
    ax.set_yticks(at, [WORDS.get(kind, kind) for kind in found])
    ax.tick_params(axis="y", which="minor", left=False, right=False)
    ax.set_ylim(-0.6, len(found) + 0.9)
    ax.set_xlabel("separation, mean over layers")
    ax.legend(loc="upper right", ncols=2)
    plotting.label(ax, right="")
    return fig, (
        f"Separations of {content['name']} before and after weighting: from {content['showers']} "
        "showers of each kind, in the bins of the evaluation; errors by bootstrap, weights taken "
        "as they are. Black bars: by chance, for equal distributions."
    )


def features(content: Content) -> Drawn:
    """Distributions of the features that were farthest apart."""
    ordered = sorted(
        content["features"].items(),
        key=lambda item: item[1]["by_chance_before"] - item[1]["separation_before"][0],
    )[:SHOWN]
    columns = min(3, len(ordered))
    rows = -(-len(ordered) // columns)
    fig, axes = plotting.panels(columns=columns, rows=rows, size=4.4)
    for ax in axes.ravel()[len(ordered) :]:
        ax.set_axis_off()
    for ax, (name, found) in zip(axes.ravel(), ordered, strict=False):
        edges = np.array(found["edges"])
        for kind, colour, line, words in (
            ("simulated", "black", "-", "simulated"),
            ("before", BEFORE, "--", "generated"),
            ("after", AFTER, "-", "weighted"),
        ):
            own = found[kind]
            # Without what lies below and above.
            drawing.histogram(
                ax, own["contents"][1:-1], edges, errors=own["errors"][1:-1], color=colour,
                linestyle=line, label=words,
            )  # fmt: skip
        filled = np.flatnonzero(np.array(found["simulated"]["contents"][1:-1]) > RARE)
        if len(filled):
            ax.set_xlim(edges[filled[0]], edges[filled[-1] + 1])
        ax.set_xlabel(axis_label(name), fontsize=12)
        if name.startswith("E_layer"):
            ax.set_xscale("log")
        ax.set_ylim(0.0, 1.25 * ax.get_ylim()[1])
    axes[0][0].legend(fontsize=9)
    axes[0][0].set_ylabel("part of showers", fontsize=12)
    plotting.label(axes[0][0], right="")
    return fig, (
        f"Features of {content['name']} that were farthest apart: simulated, generated, and "
        "generated with weights. Errors are statistical."
    )


def axis_label(name: str) -> str:
    """Name of a feature with its unit.

    Examples
    --------
    >>> axis_label("width_eta_2"), axis_label("E_layer_0")
    ('width in eta, layer 2 [mm]', 'energy of layer 0 [MeV]')
    """
    if name == "E_tot_over_E_inc":
        return r"$E_{tot}/E_{inc}$"
    head, _, layer = name.rpartition("_")
    if head == "E_layer":
        return f"energy of layer {layer} [MeV]"
    if head == "sparsity":
        return f"sparsity, layer {layer}"
    what, _, of = head.partition("_")
    words = {"EC": "centre", "width": "width"}[what]
    return f"{words} in {of}, layer {layer} [mm]"
