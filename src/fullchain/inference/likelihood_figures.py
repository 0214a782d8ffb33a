"""Draw likelihood scans, goodness of fit by toys, and pulls of toys."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from fullchain import plotting
from fullchain.inference import looks, wording
from fullchain.inference.collected import ASIMOV, Collected, Numbers
from fullchain.plotting import FigureSet

LEVELS = {"68 %": 1.0, "95 %": 3.841458820694124}
"""Rise of twice the negative log-likelihood of one parameter at the ends of intervals."""

JOINT_LEVELS = {"68 %": 2.295748928898636, "95 %": 5.991464547107979}
"""The same of two parameters together."""

HIGHEST = 9.0
"""Upper end of the scans."""

MOST_SCANS = 9


def draw(figures: FigureSet, one: Collected) -> None:
    """Draw what there is of scans and toys of an analysis."""
    if one.scans is not None:
        _scans(figures, one, one.scans)
        _contours(figures, one, _allowed(one, one.scans.get("contours") or []))
    if one.toys is not None:
        if one.toys.get("goodness") and not one.blind:
            _goodness(figures, one, one.toys["goodness"])
        if one.toys.get("pull"):
            _pulls(figures, one, one.toys)


def _scans(figures: FigureSet, one: Collected, scans: Numbers) -> None:
    by_parameter: dict[str, list[Numbers]] = {}
    for scan in _allowed(one, scans["scans"]):
        by_parameter.setdefault(scan["parameter"], []).append(scan)
    if not by_parameter:
        return
    shown = list(by_parameter)[:MOST_SCANS]
    left = len(by_parameter) - len(shown)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    fig, axes = plotting.panels(columns, rows, 6.4 if columns == 1 else 4.8)
    for ax in axes.flat[len(shown) :]:
        ax.remove()
    for ax, name in zip(axes.flat, shown, strict=False):
        _scan(ax, one, name, by_parameter[name])
    looks.heading(axes[0][0], one)
    more = f" {left} further scans are not shown." if left else ""
    figures.save(
        fig,
        f"scans_{one.name}",
        f"{wording.spoken(one.name)}, likelihood scans",
        "Twice the negative logarithm of the profile likelihood above its minimum; all other "
        "parameters are fitted at each point. Horizontal lines: the ends of intervals of 68 and "
        "95 % of one parameter, which the vertical lines at the bottom carry to the axis."
        f"{more} {wording.sentence(one)}",
    )


def _allowed(one: Collected, found: Sequence[Numbers]) -> list[Numbers]:
    """What may be shown: of a blind analysis, the expectation."""
    return [scan for scan in found if scan["dataset"] == ASIMOV or not one.blind]


def _scan(ax: Axes, one: Collected, name: str, scans: Sequence[Numbers]) -> None:
    ends = []
    highest = 0.0
    for scan in scans:
        points, heights = np.array(scan["points"]), np.array(scan["twice_delta_nll"])
        expected = scan["dataset"] == ASIMOV
        colour = "0.45" if expected else "black"
        label = wording.data_label(one, ASIMOV if expected else "data")
        # Where the data are themselves the expectation, both curves need a name of their own.
        if not expected and label == wording.data_label(one, ASIMOV):
            label = "data"
        ax.plot(points, heights, color=colour, linestyle="--" if expected else "-", label=label)
        highest = max(highest, float(heights.max()))
        ends += [points.min(), points.max()]
        for level in LEVELS.values():
            for crossing in crossings(points, heights, level):
                style: dict[str, Any] = {"color": colour, "linewidth": 0.8, "linestyle": ":"}
                ax.plot([crossing, crossing], [0.0, level], **style)
    low, high = min(ends), max(ends)
    for words, level in LEVELS.items():
        ax.axhline(level, color=looks.DOWN, linewidth=0.9, linestyle="-.")
        ax.annotate(
            words,
            (0.5, level),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=11,
            color=looks.DOWN,
        )
    ax.set_xlim(low, high)
    ax.set_ylim(0.0, 1.25 * min(max(highest, 4.6), HIGHEST))
    ax.set_xlabel(looks.strength(name) if name == one.poi else wording.spoken(name))
    ax.set_ylabel(r"$-2\,\Delta \ln L$")
    ax.legend(loc="upper center", ncols=2)


def crossings(points: Any, heights: Any, level: float) -> list[float]:
    """Where a curve through points crosses a level, between neighbours by a straight line."""
    above = np.asarray(heights) - level
    found = []
    for i in np.flatnonzero(np.signbit(above[:-1]) != np.signbit(above[1:])):
        part = above[i] / (above[i] - above[i + 1])
        found.append(float(points[i] + part * (points[i + 1] - points[i])))
    return found


def _contours(figures: FigureSet, one: Collected, contours: Sequence[Numbers]) -> None:
    if not contours:
        return
    pairs = list(dict.fromkeys(tuple(found["parameters"]) for found in contours))[:MOST_SCANS]
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    fig, axes = plotting.panels(columns, rows, 6.4 if columns == 1 else 4.8)
    for ax in axes.flat[len(pairs) :]:
        ax.remove()
    for ax, pair in zip(axes.flat, pairs, strict=False):
        for found in contours:
            if tuple(found["parameters"]) == pair:
                _contour(ax, one, found)
        labels = [looks.strength(n) if n == one.poi else wording.spoken(n) for n in pair]
        ax.set_xlabel(labels[0])
        ax.set_ylabel(labels[1])
        ax.legend(loc="upper right")
    looks.heading(axes[0][0], one)
    figures.save(
        fig,
        f"contours_{one.name}",
        f"{wording.spoken(one.name)}, joint likelihoods of two parameters",
        "Contours of twice the negative logarithm of the profile likelihood above its minimum "
        "that enclose 68 % (solid) and 95 % (dashed) of two parameters together. Cross: the best "
        f"fit. {wording.sentence(one)}",
    )


def _contour(ax: Axes, one: Collected, found: Numbers) -> None:
    first, second = np.array(found["x"]), np.array(found["y"])
    heights = np.array(found["twice_delta_nll"])
    expected = found["dataset"] == ASIMOV
    colour = "0.45" if expected else "black"
    ax.contour(
        first,
        second,
        heights.T,
        levels=list(JOINT_LEVELS.values()),
        colors=[colour],
        linestyles=["-", "--"],
    )
    label = wording.data_label(one, ASIMOV if expected else "data")
    ax.plot(*[[value] for value in found["best"]], "+", color=colour, markersize=9, label=label)


def _goodness(figures: FigureSet, one: Collected, found: Numbers) -> None:
    toys, observed = np.array(found["toys"]), float(found["observed"])
    fig, ax = plotting.figure()
    low, high = min(toys.min(), observed), max(toys.max(), observed)
    edges = np.linspace(low, high, int(np.clip(len(toys) ** 0.5, 8, 40)) + 1)
    counts, _ = np.histogram(toys, edges)
    ax.stairs(counts, edges, fill=True, color=plotting.COLOURS[0], alpha=0.5, label="toys")
    quality = one.result.get("goodness_of_fit")
    if quality is not None:
        degrees = quality["degrees_of_freedom"]
        x = np.linspace(edges[0], edges[-1], 200)
        expected = stats.chi2.pdf(x, degrees) * len(toys) * (edges[1] - edges[0])
        ax.plot(x, expected, color="black", label=rf"$\chi^2$, {degrees} degrees of freedom")
    # No higher than the histogram: a line to the top would run through the legend.
    tall = [0.0, float(counts.max())]
    ax.plot([observed, observed], tall, color=looks.DOWN, label=wording.data_label(one))
    ax.margins(x=0.03)
    ax.autoscale_view()
    plotting.finish(
        ax,
        xlabel=r"$-2\ln(L / L_{\mathrm{saturated}})$",
        ylabel="toys",
        right=looks.luminosity(one),
        what=looks.status(one),
        legend_above=True,
    )
    theory = "" if quality is None else f", from the curve {quality['p_value']:.2g}"
    figures.save(
        fig,
        f"goodness_{one.name}",
        f"{wording.spoken(one.name)}, goodness of fit",
        f"Likelihood ratio of the best fit to the saturated model, in {len(toys)} toys of the best "
        f"fit (histogram) and in the data (line). p-value from the toys {found['p_value']:.3g} ± "
        f"{found['uncertainty']:.1g}{theory}. {wording.sentence(one)}",
    )


def _pulls(figures: FigureSet, one: Collected, toys: Numbers) -> None:
    found, covered = toys["pull"], toys.get("coverage")
    values = np.array(found["values"])
    fig, ax = plotting.figure()
    edge = float(np.clip(np.ceil(2 * np.abs(values).max()) / 2, 3.0, 6.0))
    edges = np.linspace(-edge, edge, int(4 * edge) + 1)
    counts, _ = np.histogram(values, edges)
    ax.errorbar(
        (edges[1:] + edges[:-1]) / 2,
        counts,
        yerr=np.sqrt(counts),
        fmt="o",
        linewidth=1.2,
        label=f"{len(values)} toys",
        **looks.POINTS,
    )
    x = np.linspace(-edge, edge, 300)
    height = len(values) * (edges[1] - edges[0])
    ax.plot(x, height * stats.norm.pdf(x), color=plotting.COLOURS[0], label="unit normal")
    text = [
        f"mean {found['mean']:.3f} ± {found['mean_uncertainty']:.3f}",
        f"width {found['width']:.3f} ± {found['width_uncertainty']:.3f}",
    ]
    if covered:
        share, error = 100 * covered["fraction"], 100 * covered["uncertainty"]
        text.append(f"covered {share:.1f} ± {error:.1f} %")
    symbol = r"\mu" if one.poi == "mu" else r"\theta"
    plotting.finish(
        ax,
        xlabel=rf"$(\hat{{{symbol}}} - {symbol}_{{\mathrm{{true}}}}) / \sigma$",
        ylabel="toys",
        right=looks.luminosity(one),
        what=looks.status(one),
        headroom=1.45,
    )
    ax.legend(loc="upper right")
    ax.text(0.03, 0.96, "\n".join(text), transform=ax.transAxes, va="top", fontsize=12)
    outside = int(np.sum(np.abs(values) > edge))
    beyond = f" {outside} lie outside the axis." if outside else ""
    failed = toys.get("failed", 0)
    lost = f" {failed} fits of toys did not converge." if failed else " All fits converged."
    figures.save(
        fig,
        f"toys_{one.name}",
        f"{wording.spoken(one.name)}, pulls of the toys",
        f"Fitted less true {one.poi}, over its uncertainty, in {len(values)} toys; curve: the "
        "normal distribution of unit width. Covered: part of the 68.3 % intervals of the profile "
        f"likelihood that hold the truth.{beyond}{lost} {wording.sentence(one)}",
    )
