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

Numbers = dict[str, Any]

CLASS_COLOURS = {"signal": COLOURS[2], "background": COLOURS[0]}
BASELINE_COLOUR = COLOURS[7]

ARROW = 0.6
"""Length of the arrow of a limit, as a fraction of the value: the same at all heights in a
logarithmic panel."""


def main(
    *,
    performance: Annotated[list[Path], Input("performance.json of each tagger")],
    history: Annotated[list[Path], Input("history.json of each tagger, in the same order")],
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw all figures of the stage."""
    figures = figure_set(index, "tagging")
    measured = [json.loads(path.read_text(encoding="utf-8")) for path in performance]
    _roc(figures, measured)
    _rejection(figures, measured)
    _calibration(figures, measured)
    for one, path in zip(measured, history, strict=True):
        _scores(figures, one)
        _history(figures, one["tagger"], json.loads(path.read_text(encoding="utf-8")))
    figures.write()


def _right(measured: Numbers) -> str:
    window = measured["selection"]
    return rf"${window['pt_min']:g} < p_T < {window['pt_max']:g}$ GeV"


def _curves(measured: list[Numbers]) -> list[tuple[Numbers, str, Any, Any]]:
    """What is drawn: numbers, legend, colour, line style; the baseline of the first tagger last."""
    drawn = []
    for number, one in enumerate(measured):
        auc = one["auc"]
        label = f"{one['tagger']}, AUC {auc['value']:.4f} ± {auc['deviation']:.4f}"
        drawn.append((one, label, COLOURS[number % len(COLOURS)], "-"))
    baseline = measured[0]["baseline"]
    low, high = baseline["window"]
    cut = rf"$\tau_{{32}}$, {low:g} < $m_{{SD}}$ < {high:g} GeV"
    auc = baseline["auc"]
    label = f"{cut}, AUC {auc['value']:.4f} ± {auc['deviation']:.4f}"
    return [*drawn, (baseline, label, BASELINE_COLOUR, "--")]


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
        "of the test part; bands are the central 68 % of a bootstrap over events. Dashed: cut on "
        "tau32 inside a window of soft-drop mass.",
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
    for label, colour in CLASS_COLOURS.items():
        train, test = tables[f"{label}_train"], tables[f"{label}_test"]
        histogram(
            ax,
            train["content"],
            edges,
            errors=train["deviation"],
            label=f"{label}, training part",
            color=colour,
        )
        points(
            ax,
            _blank(test["content"]),
            edges,
            errors=test["deviation"],
            label=f"{label}, test part",
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
    tagger = measured["tagger"]
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
        f"Score of {tagger} for signal and background in the training part (lines) and in the test "
        "part (points), each with area one, and their ratio: away from one where the network has "
        "learnt its training jets by heart. Error bars and bands are statistical.",
    )


def _history(figures: FigureSet, tagger: str, history: Numbers) -> None:
    fig, ax = figure()
    epochs = np.arange(1, len(history["train"]) + 1)
    for part, style, label in (
        ("train", "-", "training part"),
        ("validation", "--", "validation part"),
    ):
        losses = [terms["loss"] for terms in history[part]]
        curve(ax, epochs, losses, label=label, color=COLOURS[0], linestyle=style)
    best = history["best_epoch"] + 1
    ax.axvline(best, color="0.5", linewidth=1.0, label=f"model kept (epoch {best})")
    finish(ax, xlabel="epoch", ylabel="cross entropy", right="")
    figures.save(
        fig,
        f"history_{tagger}",
        f"Training of {tagger}",
        f"Cross entropy of {tagger} after each epoch, for {history['jets']['train']['signal']} "
        f"signal and {history['jets']['train']['background']} background jets to train on and "
        f"{history['parameters']} parameters. In training, the mean over the epoch while the "
        "network changes; in validation, after it.",
    )


def _legend_below(fig: Figure, ax: Axes) -> None:
    """Put the legend under the panel, where it hides no curve whatever its shape."""
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center")


def _decade_below(measured: list[Numbers]) -> float:
    """Lower end of the axis: the power of ten below the smallest efficiency of all curves."""
    values = [
        value
        for one in measured
        for roc in (one["roc"], one["baseline"]["roc"])
        for value in roc["background_efficiency"]
        if value > 0
    ]
    return min(0.1, 10.0 ** math.floor(math.log10(min(values)))) if values else 0.1


def _jets(measured: Numbers) -> str:
    jets = measured["jets"]
    return f"{jets['signal']} signal and {jets['background']} background jets"


def _positive(values: list[float]) -> Any:
    """Leave out zeros, which a logarithmic axis cannot show."""
    array = np.asarray(values, dtype=float)
    return np.where(array > 0, array, np.nan)


def _blank(values: list[float]) -> Any:
    return _positive(values)
