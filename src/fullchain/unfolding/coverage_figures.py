"""Draw pulls over pseudo-experiments, and posterior quantiles."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import norm, t

from fullchain.plotting import FigureSet, label
from fullchain.unfolding import coverage_sizes, looks
from fullchain.unfolding.figures import COVERAGE, GENERATIVE
from fullchain.unfolding.looks import Numbers

CONTROL = (
    " Last panel: weights w = D/(1-D) of a classifier between true (1) and generated (0) events of "
    "the simulation, on events that trained neither; all are 1 with a perfect generator. Bins at "
    "the ends hold what lies beyond."
)
"""Of the caption."""


def draw(figures: FigureSet, covered: Sequence[Numbers]) -> None:
    """Draw the pulls of mean and width of all methods."""
    quantities = list(covered[0]["quantities"])
    fig, axes = looks.panels(len(quantities), width=5.8, height=5.0)
    for quantity, ax in zip(quantities, axes, strict=True):
        highest = 0.0
        for one in covered:
            found = one["quantities"][quantity]
            edges, content = np.array(found["edges"]), np.array(found["content"], dtype=float)
            colour = looks.look(one["method"], covered)["color"]
            ax.stairs(
                content, edges, color=colour, linewidth=1.6,
                label=f"{one['method']}: mean {_text(found['mean'])}, width "
                f"{_text(found['width'])},\n68 % interval holds {_text(found['coverage'], 100)} %",
            )  # fmt: skip
            at = np.linspace(edges[0], edges[-1], 201)
            expected = _density(at, found["freedom"]) * content.sum() * np.diff(edges)[0]
            ax.plot(at, expected, color=colour, linewidth=1.0, linestyle="--")
            highest = max(highest, content.max(), expected.max())
        ax.set_ylim(0.0, highest * (1.15 + 0.17 * len(covered)))
        ax.set_xlabel(f"pull of the {quantity} of $x$")
        ax.set_ylabel("pseudo-experiments")
        ax.legend(loc="upper left", fontsize=10)
    label(axes[0], right="")
    looks.save(
        figures,
        fig,
        COVERAGE,
        "Pulls over pseudo-experiments, Gaussian case",
        "Pulls of mean and width of the unfolded spectrum of the Gaussian case, in "
        "pseudo-experiments with their own simulation and data and bootstrap uncertainties "
        f"({coverage_sizes.in_words(covered)}). Dashed: Student's t with the degrees of freedom of "
        "the replicas, which the pulls of a right estimate follow. Errors of the numbers are "
        "statistical.",
    )


def _density(at: Any, freedom: float | None) -> Any:
    return norm.pdf(at) if freedom is None else t.pdf(at, freedom)


def _text(found: Mapping[str, float], scale: float = 1.0) -> str:
    decimals = 2 if scale == 1.0 else 0
    value, error = scale * found["value"], scale * found["deviation"]
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def draw_calibration(figures: FigureSet, several: Sequence[Numbers]) -> None:
    """Draw the quantiles of the truth among posterior samples, of generative methods."""
    tested = [one for one in several if one["method_kind"] in GENERATIVE]
    if not tested:
        return
    names = looks.observables(several)
    controlled = [one for one in tested if one["diagnosis"].get("control")]
    fig, axes = looks.panels(len(names) + bool(controlled))
    if controlled:
        _control(axes[-1], controlled, several)
    for name, ax in zip(names, axes, strict=False):
        for one in tested:
            found = one["diagnosis"].get("calibration", {}).get("observables", {}).get(name)
            if found is None:
                continue
            counts, errors = np.array(found["counts"]), np.array(found["errors"])
            edges = np.linspace(0.0, 1.0, len(counts) + 1)
            look = looks.look(one["method"], several)
            ax.stairs(counts, edges, color=look["color"], baseline=None, linewidth=1.2)
            ax.errorbar(
                0.5 * (edges[1:] + edges[:-1]), counts, yerr=errors, fmt=look["marker"],
                color=look["color"], label=f"{one['method']}, KS p = {found['ks_probability']:.2g}",
            )  # fmt: skip
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=10, loc="upper left")
        else:
            ax.text(0.5, 0.5, "not tested", transform=ax.transAxes, ha="center")
        ax.axhline(1.0, color="0.5", linewidth=1.0, zorder=0)
        low, high = ax.get_ylim()
        reach = max(abs(high - 1.0), abs(low - 1.0), 0.1)
        ax.set_ylim(1.0 - 1.1 * reach, 1.0 + (1.1 + 0.3 * len(tested)) * reach)
        ax.set_xlabel(f"quantile, {several[0]['observables'][name]['label']}")
        ax.set_ylabel("events / mean")
    label(axes[0], right="")
    one = several[0]
    looks.save(
        figures,
        fig,
        f"calibration_{one['measurement']}",
        f"Quantiles of the truth in posteriors, {one['measurement']}",
        "Where the true value of simulated events that were not trained on lies among the samples "
        "drawn from their posterior; with right posteriors it is uniform, whatever the prior. A "
        f"heap at both ends says too narrow, one in the middle too wide. {looks.what(one)}."
        f"{CONTROL if controlled else ''}",
    )


def _control(ax: Axes, controlled: Sequence[Numbers], several: Sequence[Numbers]) -> None:
    """Draw the weights of the classifier between true and generated events."""
    for one in controlled:
        found = one["diagnosis"]["control"]
        edges, counts = np.array(found["log10_edges"]), np.array(found["log10_counts"])
        errors, look = np.array(found["log10_errors"]), looks.look(one["method"], several)
        filled = counts > 0
        ax.errorbar(
            0.5 * (edges[1:] + edges[:-1])[filled], counts[filled],
            yerr=np.stack([np.minimum(errors, 0.8 * counts), errors])[:, filled],
            fmt=look["marker"], color=look["color"], markersize=4,
            label=f"{one['method']}, AUC {found['auc']:.3f} ± {found['auc_error']:.3f}",
        )  # fmt: skip
    ax.set_xlim(edges[0], edges[-1])
    looks.logarithmic(ax)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / low) ** (0.15 * len(controlled)))
    ax.axvline(0.0, ymax=0.75, color="0.5", linewidth=1.0, zorder=0)
    ax.set_xlabel(r"$\log_{10} w$, control")
    ax.set_ylabel("part of the generated events")
    ax.legend(fontsize=10, loc="upper left")
