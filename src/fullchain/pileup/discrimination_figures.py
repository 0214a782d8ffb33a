"""Figures of top tagging and of substructure with the weights of each method."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fullchain import drawing
from fullchain.pileup.figures import DISCRIMINATION, DISCRIMINATION_INTERACTIONS
from fullchain.pileup.method_look import drawn, look, name_of
from fullchain.plotting import FigureSet, figure, finish, panels

_TAGGERS = {
    "cut": r"cut on $\tau_{32}$ in a mass window",
    "trained": "trees, fitted to the method",
    "transferred": "trees, fitted to true weights",
}
_AXES = {
    "msoftdrop": "soft-drop mass [GeV]",
    "tau32": r"$\tau_{32}$",
}
_KINDS = {"top": "top jets", "qcd": "QCD jets"}
_AGAINST = (
    ("msoftdrop", "response", "median response of soft-drop mass"),
    ("msoftdrop", "resolution", "resolution of soft-drop mass"),
    ("tau32", "shift", r"median shift of $\tau_{32}$"),
    ("tau32", "iqr", r"IQR of the shift of $\tau_{32}$"),
)
_JOINED = 4
"""Fewest bins of a pair that a line joins: those of a single density are its tails."""

_LINES = (
    "Points of the methods are shifted sideways; a line joins the bins of a pair of samples with "
    "many densities."
)
_BOOTSTRAP = "Bars are bootstrap uncertainties over events, the same replicas for all methods."


def draw_discrimination(figures: FigureSet, pairs: Sequence[dict[str, Any]], energy: str) -> None:
    """Draw all figures of these pairs of samples."""
    if pairs:
        _draw_areas_against_interactions(figures, pairs, energy)
        _draw_substructure_against_interactions(figures, pairs, energy)
    for content in pairs:
        _draw_areas(figures, content, energy)
        _draw_distributions(figures, content, energy)


def _jets(content: dict[str, Any]) -> str:
    """Say which jets a pair has."""
    low, high = content["jet_pt"]
    return (
        f"{content['jets']['top']} fully contained top jets of {content['samples']['signal']} and "
        f"{content['jets']['qcd']} jets of {content['samples']['background']}, "
        f"{low:g} to {high:g} GeV at particle level"
    )


def _draw_areas(figures: FigureSet, content: dict[str, Any], energy: str) -> None:
    """Area under the ROC curve of each method, for each tagger."""
    methods = list(drawn(content))
    fig, ax = figure(7.4, 1.6 + 0.55 * max(len(methods), 4))
    for place, (tagger, text) in enumerate(_TAGGERS.items()):
        known = [
            (row, content["methods"][method]["auc"][tagger]["area"])
            for row, method in enumerate(methods)
            if tagger in content["methods"][method].get("auc", {})
        ]
        rows = np.array([row for row, _ in known]) + 0.2 * (place - 1)
        values = np.array([value for _, value in known]).reshape(-1, 2)
        ax.errorbar(
            values[:, 0], rows, xerr=values[:, 1], linestyle="none", marker="os^"[place],
            color=f"C{place}", label=text,
        )  # fmt: skip
    ax.margins(x=0.05)
    finish(ax, xlabel="area under the ROC curve, top against QCD", ylabel="", legend=False,
           right=energy)  # fmt: skip
    # the first method on top, and the legend above it
    ax.set_ylim(len(methods) - 0.5, -2.3)
    ax.set_yticks(range(len(methods)), [name_of(method) for method in methods])
    ax.tick_params(axis="y", which="minor", left=False, right=False)
    ax.legend(loc="upper left", fontsize=10)
    figures.save(
        fig,
        f"{DISCRIMINATION[0]}_{content['pair']}",
        f"Top tagging with each method, {content['pair']}",
        f"Area under the ROC curve of {_jets(content)}, at {content['interactions']:.0f} pile-up "
        "interactions on average: of a cut on tau32 for soft-drop masses of "
        f"{content['mass_window'][0]:g} to {content['mass_window'][1]:g} GeV, and of boosted trees "
        "on soft-drop mass, tau32 and tau21, fitted to other events with the same method or with "
        "true weights, which is what an analysis trained without pile-up gets. " + _BOOTSTRAP,
    )


def _draw_distributions(figures: FigureSet, content: dict[str, Any], energy: str) -> None:
    """Soft-drop mass and tau32 of top and QCD jets with each method."""
    fig, axes = panels(2, rows=2, size=5.4)
    for row, (name, axis) in zip(axes, _AXES.items(), strict=True):
        edges = np.array(content["edges"][name])
        for ax, (kind, text) in zip(row, _KINDS.items(), strict=True):
            for method in drawn(content):
                found = content["histograms"][method].get(kind, {}).get(name)
                if found is None:
                    continue
                drawing.histogram(
                    ax, found["content"], edges, errors=found["deviation"],
                    label=name_of(method), color=look(method, content)["color"],
                )  # fmt: skip
            ax.set_xlim(edges[0], edges[-1])
            finish(
                ax, xlabel=axis, ylabel=f"part of the {text}", right=energy,
                legend=ax is axes[0][0], headroom=1.2,
            )  # fmt: skip
        low, high = content["mass_window"]
        if name == "msoftdrop":
            for ax in row:
                ax.axvspan(low, high, color="0.93", zorder=0)
    axes[0][0].legend(loc="upper left", fontsize=11)
    figures.save(
        fig,
        f"{DISCRIMINATION[1]}_{content['pair']}",
        f"Soft-drop mass and tau32 with each method, {content['pair']}",
        f"Distributions for {_jets(content)}, at {content['interactions']:.0f} pile-up "
        "interactions on average, with the candidates weighted by each method. The shaded masses "
        "are the window of the cut on tau32. Bands are statistical uncertainties.",
    )


def _draw_areas_against_interactions(
    figures: FigureSet, pairs: Sequence[dict[str, Any]], energy: str
) -> None:
    """Areas of each tagger, and their differences to those of PUPPI."""
    fig, axes = panels(len(_TAGGERS), rows=2, size=4.8)
    for column, (tagger, text) in enumerate(_TAGGERS.items()):
        for row, key in enumerate(("area", "over_puppi")):
            ax = axes[row][column]
            _draw_bins(
                ax, pairs,
                lambda entries, tagger=tagger: entries.get("auc", {}).get(tagger, {}), key,
            )  # fmt: skip
            first = row == 0 and column == 0
            words = f"area, {text}" if key == "area" else "area minus that of PUPPI"
            if key == "over_puppi":
                ax.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
            finish(ax, xlabel="pile-up interactions", ylabel=words, right=energy, legend=False,
                   headroom=1.0)  # fmt: skip
            _fit(ax, bottom=0.55 if first else 0.08)
            ax.yaxis.label.set_size(12)
            if first:
                ax.legend(loc="lower left", ncols=2, fontsize=10)
    figures.save(
        fig,
        DISCRIMINATION_INTERACTIONS[0],
        "Top tagging against pile-up",
        "Area under the ROC curve of top against QCD jets with each method, against the number of "
        "pile-up interactions, and the difference to PUPPI in the same events: of a cut on tau32 "
        "in a window of soft-drop mass, of trees fitted to jets of the method, and of trees fitted "
        f"to jets of true weights. Jets: {'; '.join(_jets(content) for content in pairs)}. "
        f"{_LINES} {_outside(pairs)}{_BOOTSTRAP}",
    )


def _draw_substructure_against_interactions(
    figures: FigureSet, pairs: Sequence[dict[str, Any]], energy: str
) -> None:
    """How soft-drop mass and tau32 of top and QCD jets are restored."""
    fig, axes = panels(len(_AGAINST), rows=len(_KINDS), size=4.6)
    for row, (kind, text) in zip(axes, _KINDS.items(), strict=True):
        for ax, (quantity, key, words) in zip(row, _AGAINST, strict=True):
            _draw_bins(
                ax, pairs,
                lambda entries, k=kind, q=quantity: entries.get(k, {}).get(q, {}), key,
            )  # fmt: skip
            if key in ("response", "shift"):
                neutral = 1.0 if key == "response" else 0.0
                ax.axhline(neutral, color="0.6", linewidth=0.8, zorder=0)
            finish(ax, xlabel="pile-up interactions", ylabel=f"{words}, {text}", right=energy,
                   legend=False, headroom=1.0)  # fmt: skip
            first = ax is axes[0][0]
            _fit(ax, top=0.6 if first else 0.08)
            ax.yaxis.label.set_size(11)
            if first:
                ax.legend(loc="upper left", ncols=2, fontsize=10)
    figures.save(
        fig,
        DISCRIMINATION_INTERACTIONS[1],
        "Soft-drop mass and tau32 against pile-up",
        "Median of the ratio of the soft-drop mass to that at particle level, its interquartile "
        "range / 1.349 over that median, and median and interquartile range of the difference of "
        "tau32 to the same jets with true weights, against the number of pile-up interactions, for "
        "top jets (above) and QCD jets (below). "
        f"Jets: {'; '.join(_jets(content) for content in pairs)}. "
        f"{_LINES} {_outside(pairs)}{_BOOTSTRAP}",
    )


def _draw_bins(ax: Axes, pairs: Sequence[dict[str, Any]], numbers: Any, key: str) -> None:
    """Draw a statistic in bins of the interactions, for all methods and pairs."""
    methods = list(dict.fromkeys(method for content in pairs for method in drawn(content)))
    everything: dict[str, Any] = {"methods": {method: {} for method in methods}}
    edges: list[float] = []
    for place, method in enumerate(methods):
        named = name_of(method)
        for content in pairs:
            bins = [
                one
                for one in numbers(content["methods"].get(method, {})).get("bins", [])
                if key in one
            ]
            if not bins:
                continue
            values = np.array([one[key] for one in bins])
            edges += [edge for one in bins for edge in one["edges"]]
            # methods side by side, so that no error bar hides another
            x = np.array([one["interactions"] for one in bins])
            x = x + 0.8 * (place - 0.5 * (len(methods) - 1))
            style = look(method, everything)
            if len(bins) >= _JOINED:
                ax.plot(x, values[:, 0], color=style["color"], linewidth=0.8)
            outside = _beyond(content, method, bins)
            for chosen, filled in ((~outside, True), (outside, False)):
                ax.errorbar(
                    x[chosen], values[chosen, 0], yerr=values[chosen, 1], linestyle="none",
                    markerfacecolor=style["color"] if filled else "white", **style,
                )  # fmt: skip
        ax.errorbar([], [], label=named, linestyle="-", linewidth=0.8, **look(method, everything))
    if edges:
        # room for what is shifted sideways
        ax.set_xlim(min(edges) - 4.0, max(edges) + 4.0)


def _beyond(content: dict[str, Any], method: str, bins: Sequence[dict[str, Any]]) -> Any:
    """Tell which bins are at densities that learned weights were not trained on."""
    low, high = content["trained"].get(method, (0.0, np.inf))
    mean = np.array([one["interactions"] for one in bins])
    return (mean < low) | (mean > high)


def _outside(pairs: Sequence[dict[str, Any]]) -> str:
    if not any(content["trained"] for content in pairs):
        return ""
    return "Open points: densities outside of those that learned weights were trained on. "


def _fit(ax: Axes, bottom: float = 0.08, top: float = 0.08) -> None:
    """Set the y axis to what is drawn, with free parts of it below and above."""
    ax.autoscale(axis="y")
    ax.margins(y=0.0)
    low, high = ax.get_ylim()
    size = max(high - low, 1e-9)
    ax.set_ylim(low - bottom * size, high + top * size)
