"""Figures of evaluations: ROC curves and confusions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fullchain import plotting
from fullchain.firmware.evaluation_figure_names import CONFUSION, ROC
from fullchain.firmware.model_kinds import ANOMALY_SCORES
from fullchain.plotting import COLOURS, LINESTYLES

Content = Mapping[str, Any]
COLUMNS = 3
"""Panels beside each other at most."""
Drawn = dict[str, tuple[Figure, str]]


def figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name: curves of each model, confusions of each point."""
    found: Drawn = {}
    for one in contents:
        found[f"{ROC}_{one['model']}"] = _roc(one)
        if one["kind"] not in ANOMALY_SCORES:
            for point in one["points"]:
                found[f"{CONFUSION}_{one['model']}_{point}"] = _confusion(one, point)
    return found


def _roc(one: Content) -> tuple[Figure, str]:
    curves = {"float": one["float"]["roc"]} | {
        point: entry["quantised"]["roc"] for point, entry in one["points"].items()
    }
    names = list(one["float"]["roc"]["background"])
    rows = -(-len(names) // COLUMNS)
    fig, axes = plotting.panels(columns=min(COLUMNS, len(names)), rows=rows, size=4.2)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names, strict=False):
        lowest = 1.0
        for number, (what, curve) in enumerate(curves.items()):
            numbers = one["float"] if what == "float" else one["points"][what]["quantised"]
            area, error = numbers["numbers"][f"auc.{name}"]
            passing = np.array(curve["background"][name])
            shown = passing > 0
            lowest = min(lowest, float(passing[shown].min(initial=1.0)))
            colour = "black" if what == "float" else COLOURS[(number - 1) % len(COLOURS)]
            ax.plot(
                np.array(curve["signal"])[shown],
                passing[shown],
                color=colour,
                linestyle=LINESTYLES[number % len(LINESTYLES)],
                label=f"{what}: {area:.4f} ± {error:.4f}",
            )
        ax.set_yscale("log")
        ax.set_xlim(0, 1)
        plotting.finish(
            ax,
            xlabel=f"efficiency for {name}",
            ylabel="background efficiency",
            logy=True,
            headroom=1.0,
            right="",
            legend=False,
        )
        ax.set_ylim(lowest / 2, 1.5)
        ax.legend(loc="lower right", fontsize=9, title="AUC", title_fontsize=9)
    against = (
        "jets of the background classes"
        if one["kind"] in ANOMALY_SCORES
        else "an even mixture of all other classes"
    )
    return fig, (
        f"Background efficiency against signal efficiency of {one['model']}: {against} is the "
        "background. Black: before quantisation; colours: points. Legends give the area under the "
        "curve with its error from a bootstrap over events. Emulations that equal the quantised "
        "network to the bit have its curves."
    )


def _confusion(one: Content, point: str) -> tuple[Figure, str]:
    classes = one["classes"]
    fig, axes = plotting.panels(columns=2, size=5.0)
    views = {"float": one["float"], f"{point}, quantised": one["points"][point]["quantised"]}
    for ax, (what, entry) in zip(axes[0], views.items(), strict=True):
        parts = np.array(entry["confusion"]["parts"])
        errors = np.array(entry["confusion"]["errors"])
        drawn = ax.imshow(100 * parts, cmap="Blues", vmin=0, vmax=100)
        for row, column in np.ndindex(parts.shape):
            ax.text(
                column,
                row,
                f"{100 * parts[row, column]:.1f}\n± {100 * errors[row, column]:.1f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if parts[row, column] > 0.55 else "black",
            )
        ax.set_xticks(range(len(classes)), classes)
        ax.set_yticks(range(len(classes)), classes)
        ax.minorticks_off()
        ax.tick_params(length=0)
        ax.set_xlabel("class chosen")
        ax.set_ylabel("true class")
        ax.set_title(what, fontsize=12)
        fig.colorbar(drawn, ax=ax, label="part of the true class [%]")
    ties = one["points"][point]["quantised"]["ties"]
    return fig, (
        f"Confusion of {one['model']} before and after quantisation ({point}): part of the jets of "
        "each true class (rows) that is assigned to each class (columns), in per cent, with errors "
        f"from a bootstrap over events. Of {sum(one['jets'].values())} jets, {ties} have two equal "
        "highest outputs after quantisation; the first class is chosen."
    )
