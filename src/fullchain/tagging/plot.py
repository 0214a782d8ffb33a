"""Draw ROC curves, rejections, scores, calibration and training history from saved numbers."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain.drawing import curve, histogram, points, ratio_band, ratio_points
from fullchain.plotting import COLOURS, FigureSet, figure, figure_set, finish, ratio_figure
from fullchain.step import Given, Input, Output
from fullchain.tagging import (
    between_figures,
    explanation_figures,
    history_figures,
    posterior_figures,
    robustness_figures,
)

Numbers = dict[str, Any]

CLASS_COLOURS = [COLOURS[2], COLOURS[0], *COLOURS[3:], COLOURS[1]]
"""Colours of the classes, the signal first."""

BASELINE_COLOUR = COLOURS[7]

AXES = {
    "pt": r"jet $p_T$ [GeV]",
    "abs_eta": r"jet $|\eta|$",
    "npu": "pile-up interactions",
    "mass": "jet mass [GeV]",
}
"""Labels of quantities that an efficiency is shown against."""

ARROW = 0.6
"""Length of the arrow of a limit, as a fraction of the value: the same at all heights in a
logarithmic panel."""


def main(
    *,
    performance: Annotated[list[Path], Input("performance.json of each tagger")],
    history: Annotated[list[Path], Input("history.json of each training of all taggers")],
    robustness: Annotated[list[Path], Input("robustness.json of each tagger")] = [],  # noqa: B006
    explanations: Annotated[
        list[Path], Input("explanation.json of each explained tagger; none where none is explained")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw all figures of the stage."""
    figures = figure_set(index, "tagging")
    measured = [json.loads(path.read_text(encoding="utf-8")) for path in performance]
    _roc(figures, measured)
    _rejection(figures, measured)
    _calibration(figures, measured)
    trainings = [json.loads(path.read_text(encoding="utf-8")) for path in history]
    for one in measured:
        _scores(figures, one)
        mine = [training for training in trainings if training["tagger"] == one["tagger"]]
        history_figures.draw(figures, one["tagger"], mine)
        _dependence(figures, one)
        posterior_figures.draw(figures, one, _right(one))
        if "between" in one:
            between_figures.draw(figures, one, _right(one))
    robustness_figures.draw(
        figures, [json.loads(path.read_text(encoding="utf-8")) for path in robustness]
    )
    for path in explanations:
        explanation_figures.draw(figures, json.loads(path.read_text(encoding="utf-8")))
    figures.write()


def _right(measured: Numbers) -> str:
    window = measured["selection"]
    return rf"${window['pt_min']:g} < p_T < {window['pt_max']:g}$ GeV"


def _curves(measured: list[Numbers]) -> list[tuple[Numbers, str, Any, Any]]:
    """What is drawn: numbers, legend, colour, line style; the baseline of the first tagger last.

    Jets straight from ROOT files may have no baseline.
    """
    drawn = []
    several = len({_task(one) for one in measured}) > 1
    for number, one in enumerate(measured):
        auc = one["auc"]
        task = f" ({_task(one)})" if several else ""
        label = f"{one['tagger']}{task}, AUC {auc['value']:.4f} ± {auc['deviation']:.4f}"
        drawn.append((one, label, COLOURS[number % len(COLOURS)], "-"))
    baseline = measured[0]["baseline"]
    if baseline is None:
        return drawn
    low, high = baseline["window"]
    cut = rf"$\tau_{{32}}$, {low:g} < $m_{{SD}}$ < {high:g} GeV"
    auc = baseline["auc"]
    task = f" ({_task(measured[0])})" if several else ""
    label = f"{cut}{task}, AUC {auc['value']:.4f} ± {auc['deviation']:.4f}"
    return [*drawn, (baseline, label, BASELINE_COLOUR, "--")]


def _task(measured: Numbers) -> str:
    return f"{measured['signal']} against {', '.join(measured['background'])}"


def _roc(figures: FigureSet, measured: list[Numbers]) -> None:
    fig, ax = figure()
    for one, label, colour, style in _curves(measured):
        roc = one["roc"]
        curve(
            ax,
            roc["signal_efficiency"],
            _positive(roc["background_efficiency"]),
            low=_positive(roc["low"]),
            high=_positive(roc["high"]),
            label=label,
            color=colour,
            linestyle=style,
        )
    ax.set_xlim(0, 1)
    finish(
        ax,
        xlabel="signal efficiency",
        ylabel="background efficiency",
        logy=True,
        right=_right(measured[0]),
        legend=False,
    )
    ax.set_ylim(_decade_below(measured), 1.0)
    _legend_below(fig, ax)
    figures.save(
        fig,
        "roc",
        "ROC curves",
        f"Background efficiency against signal efficiency of each tagger, for {_jets(measured[0])} "
        f"in the measurement of {measured[0]['tagger']}; bands are the central 68 % of a bootstrap "
        "over events. Dashed: cut on tau32 inside a window of soft-drop mass.",
    )


def _rejection(figures: FigureSet, measured: list[Numbers]) -> None:
    fig, ax = figure()
    for one, label, colour, style in _curves(measured):
        roc = one["roc"]
        curve(
            ax,
            roc["signal_efficiency"],
            1.0 / _positive(roc["background_efficiency"]),
            low=1.0 / _positive(roc["high"]),
            high=1.0 / _positive(roc["low"]),
            label=label,
            color=colour,
            linestyle=style,
        )
    for one, _, colour, _ in _curves(measured):
        for point in one["working_points"]:
            _point(ax, point["signal_efficiency"], point["rejection"], colour)
    ax.set_xlim(0, 1)
    finish(
        ax,
        xlabel="signal efficiency",
        ylabel=r"background rejection $1/\epsilon_B$",
        logy=True,
        right=_right(measured[0]),
        legend=False,
        headroom=1.0,
    )
    ax.set_ylim(bottom=1.0)
    _legend_below(fig, ax)
    figures.save(
        fig,
        "rejection",
        "Background rejection",
        "Inverse background efficiency against signal efficiency; bands and error bars are the "
        "central 68 % of a bootstrap over events, points the working points of the tables. An "
        "arrow on a full point means that the interval has no upper end; open points are lower "
        "limits at 95 % CL. A curve starts where background passes.",
    )


def _point(ax: Axes, efficiency: float, rejection: Numbers, colour: Any) -> None:
    """Draw a working point; an arrow stands for an upper end that is not known."""
    value = rejection["value"]
    look = {"fmt": "o", "color": colour, "mfc": "white" if rejection["is_limit"] else colour}
    below = value - rejection["low"]
    if rejection["high"] is not None:
        above = rejection["high"] - value
        ax.errorbar(efficiency, value, yerr=[[below], [above]], **look)
        return
    # matplotlib draws no lower bar together with an arrow, so each is drawn by itself.
    ax.errorbar(efficiency, value, yerr=ARROW * value, lolims=True, **look)
    if below > 0:
        ax.errorbar(efficiency, value, yerr=[[below], [0.0]], **look)


def _calibration(figures: FigureSet, measured: list[Numbers]) -> None:
    fig, ax = figure()
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=1.0)
    for number, one in enumerate(measured):
        table = one["calibration"]
        filled = [k for k, value in enumerate(table["observed"]) if value is not None]
        ax.errorbar(
            [table["predicted"][k] for k in filled],
            [table["observed"][k] for k in filled],
            yerr=[
                [table["observed"][k] - table["low"][k] for k in filled],
                [table["high"][k] - table["observed"][k] for k in filled],
            ],
            fmt="o-",
            color=COLOURS[number % len(COLOURS)],
            label=f"{one['tagger']}, mean distance {table['error']['value']:.3f} "
            f"± {table['error']['deviation']:.3f}",
        )
    ax.set_xlim(0, 1)
    finish(
        ax,
        xlabel="mean score",
        ylabel="part of signal",
        right=_right(measured[0]),
        legend=False,
    )
    ax.set_ylim(0, 1)
    _legend_below(fig, ax)
    figures.save(
        fig,
        "calibration",
        "Calibration of the scores",
        "Part of signal in bins of the score against the mean score there, for test jets with the "
        "weights of training (classes of equal size and spectrum). On the diagonal a score is a "
        "probability. Error bars are Wilson's 68 % intervals for the effective number of events.",
    )


def _scores(figures: FigureSet, measured: Numbers) -> None:
    fig, ax, ratio = ratio_figure()
    tables = measured["scores"]
    edges = tables["edges"]
    tagger = measured["tagger"]
    for number, label in enumerate(measured["classes"]):
        colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
        test, train = tables[f"{label}_test"], tables.get(f"{label}_train")
        points(
            ax,
            _blank(test["content"]),
            edges,
            errors=test["deviation"],
            label=f"{label}, {'test part' if train else 'folds'}",
            color=colour,
        )
        if train is None:
            continue
        histogram(
            ax,
            train["content"],
            edges,
            errors=train["deviation"],
            label=f"{label}, training part",
            color=colour,
        )
        ratio_points(
            ratio,
            _blank(test["content"]),
            test["deviation"],
            train["content"],
            edges,
            color=colour,
        )
        ratio_band(ratio, train["content"], train["deviation"], edges, color=colour)
    ratio.set_ylabel("test / training", loc="center")
    finish(
        ax,
        xlabel=f"score of {tagger}",
        ylabel="part of jets",
        ratio=ratio,
        logy=True,
        right=_right(measured),
    )
    figures.save(
        fig,
        f"score_{tagger}",
        f"Score of {tagger}",
        f"Score of {tagger} for each class in the training part (lines) and in the test "
        "part (points), each with area one, and their ratio: away from one where the network has "
        "learnt its training jets by heart. Error bars and bands are statistical.",
    )


def _dependence(figures: FigureSet, measured: Numbers) -> None:
    """Draw the efficiencies of fixed cuts in bins of other quantities."""
    tagger = measured["tagger"]
    for name, table in measured["dependence"].items():
        fig, ax = figure()
        edges = np.asarray(table["edges"])
        centres, widths = 0.5 * (edges[1:] + edges[:-1]), 0.5 * (edges[1:] - edges[:-1])
        for number, point in enumerate(table["working_points"]):
            colour = COLOURS[number % len(COLOURS)]
            for side, style in (("signal", "o"), ("background", "s")):
                filled = [k for k, one in enumerate(point[side]) if one and one["value"] > 0]
                rows = [point[side][k] for k in filled]
                ax.errorbar(
                    centres[filled],
                    [row["value"] for row in rows],
                    xerr=widths[filled],
                    yerr=[
                        [row["value"] - row["low"] for row in rows],
                        [row["high"] - row["value"] for row in rows],
                    ],
                    fmt=style,
                    mfc="white" if side == "background" else None,
                    color=colour,
                    label=f"{side}, cut with {100 * point['signal_efficiency']:g} % signal",
                )
                # Where no jet passes, a logarithmic axis has room for the end of the interval only.
                none = [k for k, one in enumerate(point[side]) if one and not one["value"] > 0]
                limits = np.array([point[side][k]["high"] for k in none])
                ax.errorbar(
                    centres[none],
                    limits,
                    xerr=widths[none],
                    yerr=0.4 * limits,
                    uplims=True,
                    linestyle="none",
                    color=colour,
                    alpha=1.0 if side == "signal" else 0.5,
                )
        ax.set_xlim(edges[0], edges[-1])
        finish(
            ax,
            xlabel=AXES.get(name, name),
            ylabel="efficiency",
            logy=True,
            right=_right(measured),
            legend=False,
        )
        _legend_below(fig, ax)
        figures.save(
            fig,
            f"efficiency_{tagger}_{name}",
            f"Efficiency of {tagger} against {name}",
            f"Part of signal and background that passes fixed cuts on the score of {tagger}, in "
            f"bins of {name}; error bars are Wilson's 68 % intervals for the effective number of "
            "jets. An arrow is the upper end of it where no jet passes (pale: of background). Bins "
            "without jets are left out.",
        )


def _legend_below(fig: Figure, ax: Axes) -> None:
    """Put the legend under the panel, where it hides no curve whatever its shape."""
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center")


def _decade_below(measured: list[Numbers]) -> float:
    """Lower end of the axis: the power of ten below the smallest efficiency of all curves."""
    values = [
        value
        for one in measured
        for curve in (one, one["baseline"])
        if curve is not None
        for value in curve["roc"]["background_efficiency"]
        if value > 0
    ]
    return min(0.1, 10.0 ** math.floor(math.log10(min(values)))) if values else 0.1


def _jets(measured: Numbers) -> str:
    return " and ".join(f"{number} {name}" for name, number in measured["jets"].items()) + " jets"


def _positive(values: list[float]) -> Any:
    """Leave out zeros, which a logarithmic axis cannot show."""
    array = np.asarray(values, dtype=float)
    return np.where(array > 0, array, np.nan)


def _blank(values: list[float]) -> Any:
    return _positive(values)
