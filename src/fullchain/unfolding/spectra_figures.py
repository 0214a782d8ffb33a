"""Draw unfolded spectra beside truth, prior and data, and what their errors are of."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from fullchain.drawing import band, histogram, points
from fullchain.plotting import FigureSet, label
from fullchain.unfolding import looks
from fullchain.unfolding.looks import Array, Numbers

RATIO = (0.5, 1.5)

LEAST = 0.01
"""Ratios are drawn where the reference is at least this part of its largest bin."""


def draw(figures: FigureSet, several: Sequence[Numbers]) -> None:
    """Draw the figures of a measurement with all its methods."""
    _spectra(figures, several)
    _uncertainties(figures, several)


def _spectra(figures: FigureSet, several: Sequence[Numbers]) -> None:
    names = looks.observables(several)
    fig, axes = looks.ratio_panels(len(names))
    for name, (ax, ratio) in zip(names, axes, strict=True):
        _panel(ax, ratio, name, several)
    label(axes[0][0], right="")
    looks.legend_below(fig, [axes[0][0]], 3 if len(names) > 1 else 2)
    one = several[0]
    truth = _truth_text(one)
    looks.save(
        figures,
        fig,
        f"spectra_{one['measurement']}",
        f"Unfolded spectra, {one['measurement']}",
        f"Spectra of unit integral in the bins of the triangular discriminator; {looks.what(one)}; "
        f"{looks.events(one)}. {truth} Dashed: the particle level of the simulation before "
        "unfolding. Points: data less background at the detector level. Bands are the square root "
        "of the diagonal of the total covariance of the numbers of events: bootstrap of data and "
        "simulation, network, and shifts, as far as there are any. Below: ratio to "
        "the truth, or without one to the prior, where this is at least a hundredth of its "
        "largest bin.",
    )


def _truth_text(one: Numbers) -> str:
    first = next(iter(one["observables"].values()))["metric"]
    if first["truth"] is None:
        return "The data are recorded, there is no truth."
    if first["truth_is_known"]:
        return "Grey: the truth, by formula."
    return "Grey: the truth, that is the particle level of the same pseudo-data."


def _panel(ax: Axes, ratio: Axes, name: str, several: Sequence[Numbers]) -> None:
    first = several[0]["observables"][name]
    metric = first["metric"]
    edges = metric["edges"]
    prior = looks.density(metric["prior"], edges)
    truth = None if metric["truth"] is None else looks.density(metric["truth"], edges)
    reference = prior if truth is None else truth
    if truth is not None:
        ax.stairs(truth, edges, fill=True, label="truth", **looks.TRUTH)
    ax.stairs(prior, edges, label="prior (simulation)", linewidth=1.4, **looks.PRIOR)
    detector = metric["detector"]
    total = sum(detector["data"])
    points(
        ax,
        looks.density(detector["data"], edges),
        edges,
        errors=np.array(detector["data_deviation"]) / total / np.diff(edges),
        label="data, detector level",
    )
    ratio.stairs(_over(prior, reference), edges, linewidth=1.2, **looks.PRIOR)
    for one in several:
        mine = one["observables"][name]["metric"]
        values = looks.density(mine["counts"], edges)
        errors = (
            np.hypot(mine["deviation"], mine["systematic"]) / sum(mine["counts"]) / np.diff(edges)
        )
        colour = looks.look(one["method"], several)["color"]
        histogram(ax, values, edges, errors=errors, color=colour, label=one["method"])
        shown = _over(values, reference)
        ratio.stairs(shown, edges, color=colour, linewidth=1.4)
        band(ratio, shown, np.nan_to_num(_over(errors, reference)), edges, color=colour)
    top = max(ax.get_ylim()[1], 1e-12)
    ax.set_ylim(0.0, 1.12 * top)
    ratio.set_ylim(*RATIO)
    ax.set_ylabel("density")
    ratio.set_ylabel("ratio", loc="center")
    ratio.set_xlabel(looks.axis(first))
    ax.set_xlim(edges[0], edges[-1])


def _over(values: Array, reference: Array) -> Array:
    found: Array = np.divide(
        values,
        reference,
        out=np.full(len(values), np.nan),
        where=reference > LEAST * reference.max(),
    )
    return found


def _uncertainties(figures: FigureSet, several: Sequence[Numbers]) -> None:
    names = looks.observables(several)
    fig, axes = looks.panels(len(names))
    sources: list[str] = []
    for name, ax in zip(names, axes, strict=True):
        for one in several:
            mine = one["observables"][name]["published"]
            counts = np.array(mine["counts"])
            colour = looks.look(one["method"], several)["color"]
            histogram(
                ax, _percent(mine["deviation"], counts), mine["edges"], color=colour,
                label=f"{one['method']}, statistical",
            )  # fmt: skip
            if mine["shifts"]:
                sources += [shift for shift in mine["shifts"] if shift not in sources]
                histogram(
                    ax, _percent(mine["systematic"], counts), mine["edges"],
                    color=colour, linestyle=":", label=f"{one['method']}, shifts",
                )  # fmt: skip
        looks.logarithmic(ax)
        ax.set_xlabel(looks.axis(several[0]["observables"][name]))
        ax.set_ylabel("uncertainty [%]")
        edges = several[0]["observables"][name]["published"]["edges"]
        ax.set_xlim(edges[0], edges[-1])
    label(axes[0], right="")
    looks.legend_below(fig, axes[:1], 2)
    one = several[0]
    listed = f" The shifts are {', '.join(sources)}." if sources else ""
    looks.save(
        figures,
        fig,
        f"uncertainties_{one['measurement']}",
        f"Relative uncertainties, {one['measurement']}",
        "Square root of the diagonal of the covariance of the unfolded numbers of events in the "
        "published bins, over these numbers: bootstrap of data and simulation, and network. "
        "Dotted, where there are any: the shifts of the detector and other simulations "
        f"together.{listed} {looks.what(one)}; "
        f"{looks.events(one)}.",
    )


def _percent(errors: Sequence[float] | Array, counts: Array) -> Array:
    found: Array = np.divide(
        100.0 * np.asarray(errors), counts, out=np.full(len(counts), np.nan), where=counts > 0
    )
    return found
