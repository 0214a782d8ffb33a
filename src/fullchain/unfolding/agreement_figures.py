"""Draw how results agree with the truth and, folded again, with the data."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fullchain.drawing import histogram, points
from fullchain.plotting import FigureSet, label
from fullchain.unfolding import looks, published
from fullchain.unfolding.looks import Numbers

WIDEST_PULL = 5.0

_UNKNOWN: Numbers = {"value": float("nan"), "deviation": float("nan")}
"""In the place of a discriminator where there are no data between the edges."""


def draw(figures: FigureSet, several: Sequence[Numbers]) -> None:
    """Draw the figures of a measurement with all its methods."""
    _pulls(figures, several)
    _refolding(figures, several)
    _discriminators(figures, several)


def _pulls(figures: FigureSet, several: Sequence[Numbers]) -> None:
    names = looks.observables(several)
    fig, axes = looks.panels(len(names))
    for name, ax in zip(names, axes, strict=True):
        for number, one in enumerate(several):
            mine = one["observables"][name]["published"]
            if "closure" not in mine:
                continue
            edges = np.array(mine["edges"])
            centres = 0.5 * (edges[1:] + edges[:-1])
            # Side by side in the bin, or the points of one method would hide those of another.
            beside = (number - 0.5 * (len(several) - 1)) / (len(several) + 1) * np.diff(edges)
            pulls = np.array(mine["closure"]["pulls"], dtype=float)
            look = looks.look(one["method"], several)
            ax.errorbar(
                centres + 0.8 * beside,
                np.clip(pulls, -WIDEST_PULL, WIDEST_PULL),
                yerr=np.where(np.abs(pulls) < WIDEST_PULL, 1.0, 0.0),
                fmt=look["marker"],
                color=look["color"],
                linewidth=1.0,
                label=f"{one['method']}{_probability(mine['closure']['chi_squared'])}",
            )
            ax.set_xlim(edges[0], edges[-1])
        if not ax.get_legend_handles_labels()[0]:
            ax.text(0.5, 0.5, "recorded data: no truth", transform=ax.transAxes, ha="center")
        else:
            ax.legend(fontsize=10, ncols=2 if len(several) > 2 else 1, loc="upper left")
        ax.axhspan(-1.0, 1.0, color="0.92", zorder=0)
        ax.axhline(0.0, color="0.5", linewidth=1.0, zorder=0)
        rows = -(-len(several) // (2 if len(several) > 2 else 1))
        ax.set_ylim(-WIDEST_PULL - 1.0, WIDEST_PULL + 1.0 + 1.3 * rows)
        ax.set_xlabel(looks.axis(several[0]["observables"][name]))
        ax.set_ylabel("(unfolded - truth) / uncertainty")
    label(axes[0], right="")
    one = several[0]
    looks.save(
        figures,
        fig,
        f"pulls_{one['measurement']}",
        f"Unfolded against true spectra, {one['measurement']}",
        f"Difference of unfolded and true numbers of events in the published bins over its "
        f"standard deviation; {looks.what(one)}; {looks.events(one)}. Where the truth is of the "
        "same events as the data, what both fluctuate by together is taken off. Bins are "
        "correlated: p is the probability of a larger chi-squared with the covariance of the "
        "bins, for few replicas by Hotelling's T squared in merged bins. Points at the edge are "
        f"beyond {WIDEST_PULL:g}.",
    )


def _probability(found: Numbers | None) -> str:
    return "" if found is None else f", p = {found['p_value']:.2g}"


def _refolding(figures: FigureSet, several: Sequence[Numbers]) -> None:
    names = looks.observables(several)
    fig, axes = looks.ratio_panels(len(names))
    for name, (ax, ratio) in zip(names, axes, strict=True):
        first = several[0]["observables"][name]
        edges = np.array(first["published"]["edges"])
        detector = first["published"]["detector"]
        data, widths = np.array(detector["data"]), np.diff(edges)
        errors = np.array(detector["data_deviation"])
        simulated = np.array(detector["simulation"])
        known = np.where(data > 0, data, np.nan)
        ax.stairs(simulated / widths, edges, label="simulation", linewidth=1.4, **looks.PRIOR)
        ratio.stairs(simulated / known, edges, linewidth=1.2, **looks.PRIOR)
        for one in several:
            mine = one["observables"][name]["published"]["detector"]
            values = np.array(mine["refolded"])
            colour = looks.look(one["method"], several)["color"]
            histogram(ax, values / widths, edges, color=colour, label=f"{one['method']}, refolded")
            ratio.stairs(values / known, edges, color=colour, linewidth=1.4)
        points(ax, data / widths, edges, errors=errors / widths, label="data less background")
        points(ratio, data / known, edges, errors=errors / known)
        ax.set_ylim(0.0, 1.15 * max((data / widths).max(), (simulated / widths).max()))
        ax.set_xlim(edges[0], edges[-1])
        ratio.set_ylim(0.7, 1.3)
        ax.set_ylabel(f"events / {first['unit']}" if first["unit"] else "events / bin width")
        ratio.set_ylabel("ratio", loc="center")
        ratio.set_xlabel(f"{looks.axis(first)}, detector level")
    label(axes[0][0], right="")
    looks.legend_below(fig, [axes[0][0]], 3 if len(names) > 1 else 2)
    one = several[0]
    how = {entry["method"]: _how(entry, names[0]) for entry in several}
    looks.save(
        figures,
        fig,
        f"refolding_{one['measurement']}",
        f"Refolded to the detector level, {one['measurement']}",
        f"What the unfolded result says the detector should have seen, and the data less "
        f"background that it was made of; {looks.what(one)}; {looks.events(one)}. "
        f"{'; '.join(f'{name}: {text}' for name, text in how.items())}. Dashed: the simulation "
        "before unfolding. Errors are statistical, of data and subtracted background.",
    )


def _how(one: Numbers, observable: str) -> str:
    if one["observables"][observable]["published"]["detector"]["how"] == "weights":
        return "simulated events with their unfolded weights"
    return "the spectrum through the response of the simulation"


def _discriminators(figures: FigureSet, several: Sequence[Numbers]) -> None:
    names = looks.observables(several)
    fig, axes = looks.panels(1, width=max(7.4, 1.6 * len(names) + 2.0), height=5.4)
    ax = axes[0]
    at_truth = all(
        one["observables"][name]["metric"]["truth"] is not None for one in several for name in names
    )
    place = np.arange(len(names), dtype=float)
    for number, one in enumerate(several):
        found = [_discriminator(one["observables"][name], at_truth) for name in names]
        look = looks.look(one["method"], several)
        shift = 0.6 * ((number + 1) / (len(several) + 1) - 0.5)
        values = np.array([entry["value"] for entry in found])
        errors = np.array([entry["deviation"] for entry in found])
        ax.errorbar(
            place + shift, values, yerr=_on_log(values, errors), fmt=look["marker"],
            color=look["color"], label=one["method"], markersize=6,
        )  # fmt: skip
        if at_truth:
            noise = [one["observables"][name]["metric"]["triangular"]["noise"] for name in names]
            ax.plot(place + shift, noise, "_", color=look["color"], markersize=10, alpha=0.7)
    for at, name in zip(place, names, strict=True):
        prior = _prior(several[0]["observables"][name], at_truth)["value"]
        ax.plot([at - 0.35, at + 0.35], [prior, prior], linewidth=1.6, **looks.PRIOR)
    ax.plot([], [], label="prior" if at_truth else "simulation", linewidth=1.6, **looks.PRIOR)
    beside = _published(ax, names, place) if at_truth and set(names) & {"mass"} else ""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * 1.5)
    looks.logarithmic(ax)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_xticks(place, [several[0]["observables"][name]["label"] for name in names])
    ax.tick_params(axis="x", which="minor", bottom=False, top=False)
    ax.set_ylabel("triangular discriminator x 1000")
    label(ax, right="")
    looks.legend_below(fig, [ax], 3)
    one = several[0]
    where = "to the truth" if at_truth else "of the refolded result to the data"
    floor = (
        " Short lines: what the fluctuations of a result alone give, below which nothing is seen."
        if at_truth
        else ""
    )
    looks.save(
        figures,
        fig,
        f"discriminators_{one['measurement']}",
        f"Triangular discriminators, {one['measurement']}",
        f"Triangular discriminator {where}, with the factor 1/2 and times 1000, in fixed bins; "
        f"{looks.what(one)}; {looks.events(one)}. Bars: bootstrap over events.{floor}{beside}",
    )


def _discriminator(one: Numbers, at_truth: bool) -> Numbers:
    found: Numbers | None = (
        one["metric"]["triangular"]["method"]
        if at_truth
        else one["metric"]["detector"]["of_refolded"]["triangular"]
    )
    return found or _UNKNOWN


def _prior(one: Numbers, at_truth: bool) -> Numbers:
    found: Numbers | None = (
        one["metric"]["triangular"]["prior"]
        if at_truth
        else one["metric"]["detector"]["of_simulation"]["triangular"]
    )
    return found or _UNKNOWN


def _on_log(values: Any, errors: Any) -> Any:
    """Errors down and up; the lower ones end above zero, which a logarithmic axis has not."""
    return np.stack([np.minimum(errors, 0.8 * values), errors])


def _published(ax: Any, names: Sequence[str], place: Any) -> str:
    shown = dict(zip(published.VALUES, ("*", "X", "P"), strict=True))
    for title, marker in shown.items():
        known = published.VALUES[title]
        at = [where + 0.42 for where, name in zip(place, names, strict=True) if name in known]
        values = [known[name] for name in names if name in known]
        ax.plot(
            at, values, marker, color="0.55", mfc="white", markersize=8,
            label=f"{title}, published (unverified)",
        )  # fmt: skip
    return f" Open grey markers: {published.SOURCE}; {published.NOTE}."
