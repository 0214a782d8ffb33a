"""Figures of the judgement of showers, from the numbers of `calorimetry evaluate`."""

from collections.abc import Sequence

import numpy as np

from fullchain import plotting
from fullchain.calorimetry import (
    evaluation_figure_names as names,
)
from fullchain.calorimetry import (
    evaluation_histogram_figures,
    evaluation_physics_figures,
    evaluation_shape_figures,
)
from fullchain.calorimetry import (
    published_evaluation as published,
)
from fullchain.calorimetry.evaluation_looks import Content, Drawn, looks
from fullchain.calorimetry.evaluation_numbers import WORDS, by_set, geometry_of
from fullchain.calorimetry.published_models import KIND, note

PUBLISHED_MARKERS = {"Geant4 against itself": "4", "CaloINN": "1", "CaloDiffusion": "2"}


def figures(contents: Sequence[Content]) -> dict[str, Drawn]:
    """Give figures with captions, by name: those of each set of showers."""
    draw = {
        names.SEPARATIONS: separations,
        names.ENERGIES: evaluation_histogram_figures.energies,
        names.POSITIONS: evaluation_histogram_figures.positions,
        names.VOXELS: evaluation_histogram_figures.voxels,
        names.MEAN_SHOWERS: evaluation_shape_figures.mean_showers,
        names.PHYSICS: evaluation_shape_figures.physics,
        names.DEVELOPMENT: evaluation_physics_figures.development,
        names.INTERPOLATION: evaluation_shape_figures.interpolation,
        names.CORRELATIONS: evaluation_shape_figures.correlations,
        names.FPD: fpd,
    }
    return {
        names.name_of(figure, name): function(some)
        for name, some in by_set(contents).items()
        for figure, function in draw.items()
    }


def separations(contents: Sequence[Content]) -> Drawn:
    """Separations of all kinds, with the floor and published ones."""
    fig, ax = plotting.figure(width=8.4, height=6.4)
    kinds = [kind for kind in WORDS if kind in contents[0]["means"]]
    voxels = geometry_of(contents[0]).voxels
    known = published.separations(voxels)
    several = len(contents) + (len(known) > 0)
    at = np.arange(len(kinds))[::-1].astype(float)
    for number, (content, style) in enumerate(zip(contents, looks(contents), strict=True)):
        place = at + 0.6 * (0.5 * (several - 1) - number) / several
        value = np.array([content["means"][kind]["value"] for kind in kinds])
        error = np.array([content["means"][kind]["error"] for kind in kinds])
        ax.errorbar(
            value, place, xerr=np.minimum(error, 0.9 * value), fmt=style["marker"],
            color=style["color"], label=style["label"],
        )  # fmt: skip
        expected = [content["means"][kind]["expected"] for kind in kinds]
        ax.plot(expected, place, "|", color="black", markersize=9, zorder=1)
    place = at + 0.6 * (0.5 * (several - 1) - len(contents)) / several
    for model, values in known.items():
        some = [(values[kind], y) for kind, y in zip(kinds, place, strict=True) if kind in values]
        ax.plot(
            *np.array(some).T, PUBLISHED_MARKERS[model], color="0.35", markersize=10,
            label=f"{model}, published",
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yticks(at, [WORDS[kind] for kind in kinds], fontsize=11)
    ax.tick_params(axis="y", which="minor", left=False, right=False)
    ax.set_ylim(-0.6, len(kinds) - 0.4)
    ax.margins(x=0.06)
    ax.set_xlabel("separation")
    for line in at[:-1]:
        ax.axhline(line - 0.5, color="0.85", linewidth=0.8, zorder=0)
    ax.legend(fontsize=10, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    plotting.label(ax, right="")
    statement = ""
    if known:
        statement = (
            f" Published: {published.SOURCE}, {note(contents[0].get(KIND), voxels)}; the floor "
            "depends on the number of showers."
        )
    return fig, (
        f"Separations of generated and simulated showers, {contents[0]['set']}: of layers the "
        f"mean, from {contents[-1]['showers'][1]} test showers; errors by bootstrap. Black ticks: "
        "what equal distributions give with so many showers." + statement
    )


def fpd(contents: Sequence[Content]) -> Drawn:
    """Frechet distance against 1/N and its limit."""
    fig, axes = plotting.panels(columns=2, rows=1, size=5.4)
    words = {
        "fpd": "samples with replacement",
        "fpd_subsampled": "samples without replacement",
    }
    for ax, (key, title) in zip(axes[0], words.items(), strict=True):
        for content, style in zip(contents, looks(contents), strict=True):
            found = content["distances"][key]
            inverse = 1.0 / np.array(found["sizes"])
            look = {"color": style["color"], "marker": style["marker"], "linestyle": ""}
            ax.errorbar(
                1e4 * inverse, 1e3 * np.array(found["distances"]),
                yerr=1e3 * np.array(found["spreads"]), markersize=3, **look,
            )  # fmt: skip
            line = np.array([0.0, inverse.max()])
            ax.plot(
                1e4 * line, 1e3 * (found["value"] + found["slope"] * line), color=style["color"],
                linewidth=1.0,
            )  # fmt: skip
            ax.errorbar(
                0.0, 1e3 * found["value"], yerr=1e3 * found["error"], markersize=8, capsize=3,
                label=f"{style['label']}: {1e3 * found['value']:.2f} ± {1e3 * found['error']:.2f}",
                **look,
            )  # fmt: skip
        ax.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
        ax.margins(x=0.06)
        ax.set_xlabel("$10^4/N$")
        ax.set_ylabel("Frechet distance x 1000", fontsize=12)
        ax.set_title(title, fontsize=11, loc="right")
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.4 * (high - low))
        ax.legend(fontsize=10)
    plotting.label(axes[0][0], right="")
    return fig, (
        f"FPD extrapolated to infinite samples, {contents[0]['set']}: squared Frechet distance of "
        "high-level features against the inverse number of showers. With replacement, as in the "
        "challenge, the limit is the distance of these samples, which their finite size has made "
        "larger; without replacement it is that of the distributions."
    )
