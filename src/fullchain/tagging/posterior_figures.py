"""Figures of the uncertainties of a Bayesian tagger, from its performance.json."""

from typing import Any

import numpy as np
from scipy.special import ndtr

from fullchain.drawing import curve, histogram, points
from fullchain.plotting import COLOURS, FigureSet, figure, finish

Numbers = dict[str, Any]


def draw(figures: FigureSet, measured: Numbers, right: str) -> None:
    """Draw what there is; `right` stands above the panel on its right."""
    found = measured.get("posterior")
    if not found:
        return
    tagger = measured["tagger"]
    _distributions(figures, tagger, found, right)
    _arc(figures, tagger, found, right)
    _calibration(figures, measured, right)
    if found["pulls"]:
        _pulls(figures, tagger, found["pulls"], right)


def _distributions(figures: FigureSet, tagger: str, found: Numbers, right: str) -> None:
    fig, ax = figure()
    edges = found["sigma"]["edges"]
    names = [name for name in found["sigma"] if name != "edges"]
    for number, name in enumerate(names):
        one = found["sigma"][name]
        mean = one["mean"]
        histogram(
            ax,
            one["content"],
            edges,
            errors=one["deviation"],
            label=f"{name}, mean {mean['value']:.4f} ± {mean['deviation']:.4f}",
            color=COLOURS[number % len(COLOURS)],
        )
    finish(ax, xlabel=f"uncertainty of the score of {tagger}", ylabel="part of jets", right=right)
    figures.save(
        fig,
        f"sigma_{tagger}",
        f"Uncertainty of {tagger}",
        f"Standard deviation of the score of {tagger} under the posterior of its weights, for the "
        "test jets of each class, each with area one; bands are statistical.",
    )


def _arc(figures: FigureSet, tagger: str, found: Numbers, right: str) -> None:
    fig, ax = figure()
    rows = [row for row in found["arc"]["bins"] if row is not None]
    score = [row["score"] for row in rows]
    value = [row["sigma"]["value"] for row in rows]
    width = found["logit_width"]
    grid = np.linspace(0.0, 1.0, 201)
    curve(
        ax,
        score,
        value,
        low=[row["low"] for row in rows],
        high=[row["high"] for row in rows],
        label="central 68 % of jets",
        color=COLOURS[0],
    )
    ax.errorbar(
        score,
        value,
        yerr=[row["sigma"]["deviation"] for row in rows],
        fmt="o",
        color="black",
        label="mean",
    )
    ax.plot(
        grid,
        width["value"] * grid * (1 - grid),
        color=COLOURS[1],
        linestyle="--",
        label=rf"$k\,p\,(1-p)$, k = {width['value']:.3f} ± {width['deviation']:.3f}",
    )
    ax.set_xlim(0, 1)
    finish(ax, xlabel=f"score p of {tagger}", ylabel="uncertainty of the score", right=right)
    figures.save(
        fig,
        f"sigma_arc_{tagger}",
        f"Uncertainty of {tagger} against its score",
        f"Standard deviation of the score of {tagger} under the posterior of its weights, against "
        "the score, for test jets with the weights of training: mean in bins of the score with "
        "the uncertainty of a bootstrap over events, and the central 68 % of the jets (band). "
        "Dashed: what a logit of one width for all jets would give.",
    )


def _calibration(figures: FigureSet, measured: Numbers, right: str) -> None:
    fig, ax = figure()
    tagger = measured["tagger"]
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=1.0)
    for table, label, colour in (
        (measured["calibration"], "mean over the weights", COLOURS[0]),
        (
            measured["posterior"]["at_mean"]["calibration"],
            "at the means of the weights",
            COLOURS[1],
        ),
    ):
        filled = [k for k, value in enumerate(table["observed"]) if value is not None]
        error = table["error"]
        ax.errorbar(
            [table["predicted"][k] for k in filled],
            [table["observed"][k] for k in filled],
            yerr=[
                [table["observed"][k] - table["low"][k] for k in filled],
                [table["high"][k] - table["observed"][k] for k in filled],
            ],
            fmt="o-",
            color=colour,
            label=f"{label}, mean distance {error['value']:.3f} ± {error['deviation']:.3f}",
        )
    ax.set_xlim(0, 1)
    finish(ax, xlabel="mean score", ylabel="part of signal", right=right)
    ax.set_ylim(0, 1)
    figures.save(
        fig,
        f"calibration_posterior_{tagger}",
        f"Calibration of {tagger} with and without distributions",
        f"Part of signal in bins of the score of {tagger} against the mean score there, for the "
        "probability that is the mean over the posterior of the weights, and for the one at the "
        "means of the weights. Error bars are Wilson's 68 % intervals.",
    )


def _pulls(figures: FigureSet, tagger: str, found: Numbers, right: str) -> None:
    fig, ax = figure()
    edges = np.asarray(found["edges"])
    width = found["width"]
    points(
        ax,
        found["content"],
        edges,
        errors=found["histogram_deviation"],
        label=f"{found['trainings']} trainings, width {width['value']:.2f} ± "
        f"{width['deviation']:.2f}",
    )
    # What lies outside is in the first and last bin.
    inner = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
    histogram(ax, np.diff(ndtr(inner)), edges, label="standard normal", color=COLOURS[1])
    finish(ax, xlabel=f"pull of the score of {tagger}", ylabel="part of jets", right=right)
    figures.save(
        fig,
        f"pulls_{tagger}",
        f"Pulls of {tagger}",
        f"Score of each training of {tagger} less the mean of the others, over the combined "
        "uncertainty, for test jets with the weights of training. The trainings have the same jets "
        "and differ in their random numbers: a width below one says that these matter less than "
        "the uncertainty, a width above one that the posterior does not cover them. First and last "
        "bin have what lies outside.",
    )
