"""Draw the mass fits: the spectra, the precision of the signal strength, the spurious signal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

from fullchain.decorrelation import looks, spurious_signal
from fullchain.decorrelation.frontier_figures import legend_below
from fullchain.drawing import histogram, points
from fullchain.plotting import COLOURS, FigureSet, finish, panels, ratio_figure
from fullchain.plotting import label as name

Numbers = dict[str, Any]

LARGEST_LINEAR = 3.0
"""Pulls beyond this are drawn on a logarithmic axis; it has no ticks among smaller ones."""


def draw(figures: FigureSet, tagger: str, measured: Sequence[Numbers]) -> None:
    """Draw the figures of all classifiers of one tagger."""
    _strength(figures, tagger, measured)
    _spurious(figures, tagger, measured)


def draw_fit(figures: FigureSet, one: Numbers) -> None:
    """Draw the expected spectrum of one classifier, and fits to it."""
    fit = one["mass_fit"]
    entry = looks.at(fit["points"], one["signal_efficiency"])
    fig, ax, ratio = ratio_figure()
    if entry["orders"] is not None:
        spectra = entry["spectra"]
        edges, passing = np.array(spectra["edges"]), np.array(spectra["passing"])
        points(ax, spectra["simulated"], edges, errors=spectra["simulated_deviation"],
               label="simulated background")  # fmt: skip
        histogram(ax, passing, edges, label="smooth background", color="0.5")
        histogram(
            ax, passing + np.array(spectra["signal"]), edges, label="with signal", color=COLOURS[2]
        )
        for order, colour, style in ((0, COLOURS[1], "--"), (entry["order"], COLOURS[0], "-")):
            fitted = np.array(spectra["fitted"][order])
            label = f"from failing jets, order {order}"
            if not entry["orders"][order]["describes"]:
                label += " (!)"
            histogram(ax, fitted, edges, color=colour, linestyle=style, label=label)
            # Where next to nothing is expected, a ratio says nothing.
            shown = np.where(passing > 1e-3 * passing.max(), passing, np.nan)
            histogram(ratio, fitted / shown, edges, color=colour, linestyle=style)
            if entry["order"] == 0:
                break
        ax.set_xlim(edges[0], edges[-1])
    else:
        _say_that_too_few_pass(ax)
    ratio.set_ylabel("fit / smooth", loc="center")
    finish(ax, xlabel=looks.axis(fit["mass"]), ylabel="jets per bin", ratio=ratio,
           right=_luminosity(fit))  # fmt: skip
    figures.save(
        fig,
        f"fit_{one['name']}",
        f"Mass fit after a cut on {one['name']}",
        f"Expected {fit['mass']} of jets that pass a cut on {one['name']} at "
        f"{looks.percent(one)} % signal efficiency: simulated background with the statistical "
        "uncertainty of the simulation, its smooth expectation, and the latter with signal of "
        "strength one. Lines: background predicted from the jets that fail, with a transfer factor "
        "of order 0 (the same for all masses) and of the order that is quoted, fitted without "
        "signal; below, over the smooth expectation. (!): this order does not describe the "
        f"expected background.{_said(one['name'], [entry])}",
    )


def _said(name: str, entries: Sequence[Numbers]) -> str:
    """Sentences for a caption on the quoted orders that do not describe the background."""
    said = ((entry, spurious_signal.complaint(entry)) for entry in entries)
    return "".join(
        f" {name} at {100 * entry['signal_efficiency']:g} % signal: {problem}."
        for entry, problem in said
        if problem
    )


def _say_that_too_few_pass(ax: Axes) -> None:
    ax.text(0.5, 0.5, "too few simulated jets pass", transform=ax.transAxes, ha="center")


def _luminosity(fit: Numbers) -> str:
    value = fit["luminosity"]
    return "" if value is None else rf"{value:g} fb$^{{-1}}$ (13.6 TeV)"


def _fitted(one: Numbers) -> list[Numbers]:
    return [entry for entry in one["mass_fit"]["points"] if entry["orders"] is not None]


def _strength(figures: FigureSet, tagger: str, measured: Sequence[Numbers]) -> None:
    fig, axes = panels(2, size=6.0)
    rows = [one for several in looks.groups(measured).values() for one in several]
    fig.set_figheight(2.6 + 0.4 * len(rows))
    efficiencies = [entry["signal_efficiency"] for entry in rows[0]["mass_fit"]["points"]]
    for place, one in enumerate(rows):
        for entry in _fitted(one):
            number = efficiencies.index(entry["signal_efficiency"])
            y = place + 0.16 * (number - 0.5 * (len(efficiencies) - 1))
            colour = COLOURS[number % len(COLOURS)]
            best, flat = spurious_signal.quoted(entry), entry["orders"][0]
            marker, size = ("o", 6) if best["describes"] else ("X", 10)
            for ax, quantity in zip(axes[0], ("mu_uncertainty", "significance"), strict=True):
                ax.errorbar(best[quantity]["value"], y, xerr=best[quantity]["deviation"],
                            fmt=marker, markersize=size, color=colour)  # fmt: skip
            axes[0][0].errorbar(flat["total"]["value"], y, xerr=flat["total"]["deviation"],
                                fmt="s", color=colour, mfc="none", markersize=9)  # fmt: skip
    for number, efficiency in enumerate(efficiencies):
        axes[0][0].plot([], [], "o", color=COLOURS[number % len(COLOURS)],
                        label=f"{100 * efficiency:g} % signal")  # fmt: skip
    labels = (r"expected uncertainty of $\mu$", "expected significance")
    for ax, label in zip(axes[0], labels, strict=True):
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_yticks(range(len(rows)), [one["name"] for one in rows], fontsize=11)
        ax.minorticks_off()
        ax.set_xlabel(label)
        ax.margins(x=0.08)
        name(ax, right=_luminosity(rows[0]["mass_fit"]))
    if any(_fitted(one) for one in measured):
        axes[0][0].set_xscale("log")
        axes[0][0].xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))
    else:
        _say_that_too_few_pass(axes[0][0])
    axes[0][0].tick_params(axis="x", which="both", labelsize=9)
    axes[0][1].set_xlim(left=0.0)
    legend_below(fig, axes[0][0], 4)
    figures.save(
        fig,
        f"strength_{tagger}",
        f"Expected precision of a signal strength, {tagger}",
        "Left, full: expected uncertainty of the signal strength mu in a fit of "
        f"{rows[0]['mass_fit']['mass']} after cuts at several signal efficiencies, with a transfer "
        "factor of the lowest order that describes the expected background. Open: the uncertainty "
        "with order 0, which takes the efficiency to be the same for all masses, and the spurious "
        "signal that this makes, in quadrature. Right: expected discovery significance with the "
        "former. Bars are half of the central 68 % of a bootstrap over events. Crosses: the order "
        "does not describe the expected background, and its uncertainty leaves out the signal that "
        f"this fakes.{''.join(_said(one['name'], _fitted(one)) for one in rows)}",
    )


def _largest_order(measured: Sequence[Numbers]) -> int:
    return max((len(entry["orders"]) - 1 for one in measured for entry in _fitted(one)), default=0)


def _spurious(figures: FigureSet, tagger: str, measured: Sequence[Numbers]) -> None:
    fig, axes = panels(2, size=5.4)
    left, right = axes[0]
    for classifier, several in looks.groups(measured).items():
        look = looks.look(classifier, measured)
        for number, one in enumerate(several):
            entry = looks.at(one["mass_fit"]["points"], one["signal_efficiency"])
            if entry["orders"] is None:
                continue
            style = ("-", "--", "-.", ":")[number % 4]
            pulls = [
                (row, pull)
                for row in entry["orders"]
                if (pull := spurious_signal.found_by_toys(row, "pull")) is not None
            ]
            for ax, rows, values in (
                (left, [row for row, _ in pulls], [pull for _, pull in pulls]),
                (right, entry["orders"], [row["mu_uncertainty"] for row in entry["orders"]]),
            ):
                ax.errorbar(
                    [row["order"] for row in rows],
                    [value["value"] for value in values],
                    yerr=[value["deviation"] for value in values],
                    linestyle=style, linewidth=1.2, label=one["name"], **look,
                )  # fmt: skip
                bad = [k for k, row in enumerate(rows) if not row["describes"]]
                ax.plot(
                    [rows[k]["order"] for k in bad], [values[k]["value"] for k in bad],
                    linestyle="none", **look | {"mfc": "white"}, zorder=3,
                )  # fmt: skip
    left.axhspan(-0.2, 0.2, color="0.88", zorder=0)
    left.axhline(0.0, color="0.5", linewidth=0.8, zorder=0)
    if np.abs(left.dataLim.intervaly).max() > LARGEST_LINEAR:
        left.set_yscale("symlog", linthresh=1.0)
    for ax, label in (
        (left, "mean pull of background-only toys"),
        (right, r"expected $\sigma(\mu)$"),
    ):
        ax.margins(x=0.06, y=0.08)
        ax.set_xlabel("order of the transfer factor")
        ax.set_ylabel(label)
        ax.set_xticks(range(_largest_order(measured) + 1))
        ax.minorticks_off()
        name(ax, right=_luminosity(measured[0]["mass_fit"]))
    if right.lines:
        right.set_yscale("log")
    else:
        _say_that_too_few_pass(right)
    legend_below(fig, left, 3)
    figures.save(
        fig,
        f"spurious_{tagger}",
        f"Spurious signal, {tagger}",
        f"Left: mean pull of the signal strength in background-only toys (square root of twice the "
        "gain in likelihood over no signal, with the sign of the fitted strength), "
        f"for cuts at {looks.percent(measured[0])} % signal efficiency, against the order of the "
        "transfer factor between jets that fail and that pass; bars are the error of the mean of "
        "the toys and, in quadrature, half of the central 68 % of a bootstrap over events; the "
        "grey band is a fifth of the uncertainty. Right: expected uncertainty of the "
        "signal strength, with half of the central 68 % of a bootstrap over events. Toys are drawn "
        "around the smooth expected background. Open symbols: orders that do not describe it.",
    )
