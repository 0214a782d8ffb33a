"""Figures of classifiers of showers, from the numbers of `calorimetry classify`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.calorimetry.classifier_figure_names import AREAS, SCORES, name_of
from fullchain.calorimetry.classifier_numbers import LEVELS, by_set
from fullchain.calorimetry.classifier_settings import TREES
from fullchain.calorimetry.evaluation_looks import looks
from fullchain.calorimetry.published_models import KIND, published, statement

Content = Mapping[str, Any]
Drawn = tuple[Figure, str]

MOST = 6
"""Models whose probabilities are shown."""

ABOVE = 0.17
"""Distance of the points of networks and of trees from the middle of a row."""

TREES_MARKER = "|"

MODES = {"lite": "lite mode", "official": "official mode"}


def figures(contents: Sequence[Content]) -> dict[str, Drawn]:
    """Give figures with captions, by name: those of each set of showers."""
    found = {}
    for name, some in by_set(contents).items():
        found[name_of(AREAS, name)] = areas(some)
        found[name_of(SCORES, name)] = scores(some)
    return found


def areas(contents: Sequence[Content]) -> Drawn:
    """AUC of each level, of network and of trees, with the floor and published ones."""
    levels = [level for level in LEVELS if any(level in one["levels"] for one in contents)]
    levels = [level for level in levels if not level.endswith(TREES)]
    voxels = contents[0]["geometry"]["voxels"]
    _, known = published(voxels)
    styles = looks(contents)
    rows = len(contents) + len(known)
    fig, axes = plotting.panels(columns=len(levels), size=9.6 / len(levels))
    fig.set_size_inches(5.0 * len(levels), 1.6 + 0.4 * rows)
    place = np.arange(rows)[::-1]
    for ax, level in zip(axes[0], levels, strict=True):
        for row, content, style in zip(place, contents, styles, strict=False):
            for name, up in ((level, ABOVE), (level + TREES, -ABOVE)):
                if name not in content["levels"]:
                    continue
                value, error = content["levels"][name]["auc"]
                shape = TREES_MARKER if name.endswith(TREES) else style["marker"]
                ax.errorbar(value, row + up, xerr=error, fmt=shape, color=style["color"])
        for row, model in zip(place[len(contents) :], known, strict=True):
            value = model.low if level == "low" else model.high
            ax.plot(value, row, "o", color="0.4", markerfacecolor="white")
        ax.axvline(0.5, color="0.6", linewidth=0.8, zorder=0)
        if known:
            ax.axhline(len(known) - 0.5, color="0.6", linewidth=0.8, linestyle=":")
        ax.set_xlim(0.45, 1.02)
        ax.set_ylim(-0.6, rows - 0.4)
        ax.set_xlabel(f"AUC, {LEVELS[level]}")
        ax.tick_params(axis="y", which="minor", left=False, right=False)
        ax.set_yticks(place, [""] * rows)
    words = [style["label"] for style in styles] + [f"{model.name} (published)" for model in known]
    axes[0][0].set_yticks(place, words, fontsize=10)
    plotting.label(axes[0][0], right="")
    modes = " and ".join(sorted({MODES[one["mode"]] for one in contents}))
    text = (
        f"AUC of classifiers that tell generated from simulated showers, networks in {modes} and "
        "boosted trees (|, below): 0.5 where they cannot. Lite networks see little of single "
        "voxels: the larger area counts. Errors by bootstrap over the test showers, and "
        "over starts where there are several. The full simulation against itself is the floor."
    )
    if known:
        text += f" Open circles: published. {statement(contents[0].get(KIND), voxels)}."
    return fig, text


def scores(contents: Sequence[Content]) -> Drawn:
    """Probabilities that the classifiers give."""
    levels = [level for level in LEVELS if any(level in one["levels"] for one in contents)]
    shown = list(zip(contents, looks(contents), strict=True))[:MOST]
    fig, axes = plotting.panels(columns=len(levels), rows=len(shown), size=4.6)
    fig.set_size_inches(3.8 * len(levels), 0.9 + 2.3 * len(shown))
    for row, (content, style) in zip(axes, shown, strict=True):
        for ax, level in zip(row, levels, strict=True):
            if level not in content["levels"]:
                ax.set_axis_off()
                continue
            found = content["levels"][level]["scores"]
            edges = found["edges"]
            for kind, colour, line in (
                ("simulated", "black", "-"),
                ("generated", style["color"], "--"),
            ):
                drawing.histogram(
                    ax, found[kind], edges, errors=found[f"{kind}_error"], color=colour,
                    linestyle=line, label="simulated" if kind == "simulated" else style["label"],
                )  # fmt: skip
            top = max(*found["simulated"], *found["generated"])
            ax.set_xlim(0.0, 1.0)
            ax.set_ylim(0.0, 1.6 * top)
            ax.set_ylabel("part of showers", fontsize=11)
            value, error = content["levels"][level]["auc"]
            ax.legend(fontsize=9, title=f"AUC {value:.3f} ± {error:.3f}", title_fontsize=9)
    for ax, level in zip(axes[-1], levels, strict=True):
        ax.set_xlabel(f"D, {LEVELS[level]}")
    plotting.label(axes[0][0], right="")
    return fig, (
        "Probability D of a simulated shower, as classifiers give it to test showers: simulated "
        "(solid) and generated (dashed), before calibration. Errors are statistical."
    )
