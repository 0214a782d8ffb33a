"""Figures of accuracy against resources, with published points, and of estimates."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fullchain import plotting
from fullchain.firmware.evaluation_figure_names import BITS, EBOPS, ESTIMATE, LATENCY, LUT
from fullchain.firmware.pareto import Design, front, labels
from fullchain.firmware.published_points import POINTS, SOURCE, UNLIKE, PublishedPoint
from fullchain.plotting import COLOURS

Drawn = dict[str, tuple[Figure, str]]
MARKERS = "osD^vP*X"
ABOVE = {"NeuraLUT-Assemble": (-45, 15), "DWN": (5, 6)}
"""Places [points] of names of published designs that would cover others below their points."""
WIDE = 50.0
"""Ratio of the ends of a logarithmic axis from which powers of ten alone have numbers."""


def figures(found: Sequence[Design]) -> Drawn:
    """Give figures with captions, by name; those whose numbers are not there are left out."""
    drawn: Drawn = {}
    sized = [one for one in found if one.lut is not None]
    counted = [one for one in found if one.ebops is not None]
    if sized:
        drawn[LUT] = _lut(sized)
    if counted:
        drawn[EBOPS] = _ebops(counted)
        drawn[BITS] = _bits(counted)
    if timed := [one for one in found if one.latency is not None]:
        drawn[LATENCY] = _latency(timed)
    if compared := [one for one in sized if one.ebops is not None and one.estimate is not None]:
        drawn[ESTIMATE] = _estimate(compared)
    return drawn


def _models(found: Sequence[Design]) -> dict[str, list[Design]]:
    models: dict[str, list[Design]] = {}
    for one in found:
        models.setdefault(one.model, []).append(one)
    return models


def _draw(
    ax: Axes,
    found: Sequence[Design],
    x: Callable[[Design], float],
    y: Callable[[Design], tuple[float, float]],
    *,
    names: bool = True,
) -> None:
    for number, (model, some) in enumerate(_models(found).items()):
        values = np.array([y(one) for one in some])
        ax.errorbar(
            [x(one) for one in some],
            values[:, 0],
            yerr=values[:, 1],
            fmt=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            label=model,
            markersize=6,
        )
        if names:
            for one, (value, _) in zip(some, values, strict=True):
                ax.annotate(
                    one.point, (x(one), value), xytext=(5, 4), textcoords="offset points",
                    fontsize=8, color="0.3",
                )  # fmt: skip


def _published(ax: Axes, x: Callable[[PublishedPoint], float]) -> None:
    for data, marker in (("OpenML", "s"), ("CERNBox", "^")):
        some = [one for one in POINTS if one.data == data]
        ax.plot(
            [x(one) for one in some], [one.accuracy for one in some], marker, color="0.55",
            fillstyle="none", label=f"published, {data}",
        )  # fmt: skip
        for one in some:
            place = ABOVE.get(one.method, (5, -11))
            ax.annotate(
                one.method, (x(one), one.accuracy), xytext=place, textcoords="offset points",
                fontsize=8, color="0.45",
            )  # fmt: skip


def _accuracy(one: Design) -> tuple[float, float]:
    return 100 * one.accuracy[0], 100 * one.accuracy[1]


def _beside() -> tuple[Figure, Axes, Axes]:
    """Give panels for ours and, with an own axis, for what was published."""
    fig, axes = plotting.panels(columns=2, size=5.6)
    return fig, axes[0, 0], axes[0, 1]


def _logarithmic(ax: Axes, low: float, high: float) -> None:
    """Make the x axis logarithmic between two ends, with plain numbers."""
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    subs = (1.0,) if high > WIDE * low else (1.0, 2.0, 5.0)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _make_room(ax: Axes, above: float, below: float = 0.0) -> None:
    """Widen a linear y axis by parts of its length.

    `plotting.finish` draws it from 0, where accuracies would be a line at the top.
    """
    low, high = ax.get_ylim()
    ax.set_ylim(low - below * (high - low), high + above * (high - low))


def _finish(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Name the axes, list the models above the points, and write the label."""
    _make_room(ax, 0.3)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="upper left", ncols=2)
    plotting.label(ax, right="")


def _finish_beside(ours: Axes, theirs: Axes, xlabel: str) -> None:
    for ax, ylabel in ((ours, "balanced accuracy [%]"), (theirs, "accuracy [%]")):
        _make_room(ax, 0.4, 0.05)
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        ax.legend(loc="upper left", fontsize=10, ncols=2)
    plotting.label(ours, right="")
    theirs.set_title("published designs, other jets", loc="left", fontsize=12)


def _lut(found: Sequence[Design]) -> tuple[Figure, str]:
    fig, ours, theirs = _beside()
    _draw(ours, found, lambda one: float(one.lut or 0), _accuracy)
    best = front(found)
    ours.step(
        [float(one.lut or 0) for one in best],
        [100 * one.accuracy[0] for one in best],
        where="post",
        color="0.4",
        linewidth=1.0,
        linestyle="--",
        zorder=0,
        label="front",
    )
    _published(theirs, lambda one: float(one.lut))
    sizes = [float(one.lut or 0) for one in found]
    _logarithmic(ours, max(min(sizes), 1.0) / 2, 4 * max(sizes))
    _logarithmic(theirs, 500.0, 400_000.0)
    _finish_beside(ours, theirs, "LUT")
    return fig, (
        f"Accuracy against LUTs: left our designs ({labels(found)}), each class counting the "
        "same, with errors from a bootstrap over events; the dashed line is the front, on which no "
        f"design is beaten in both. Right: published designs ({SOURCE}). {UNLIKE}."
    )


def _ebops(found: Sequence[Design]) -> tuple[Figure, str]:
    fig, ax = plotting.figure()
    _draw(ax, found, lambda one: float(one.ebops or 0), _accuracy)
    counts = [float(one.ebops or 0) for one in found]
    _logarithmic(ax, max(min(counts), 1.0) / 2, 3 * max(counts))
    _finish(ax, "effective bit operations (EBOPs)", "balanced accuracy [%]")
    return fig, (
        "Accuracy against effective bit operations: the sum over products of the bits of weight "
        "and input, which a network is trained to keep few. Errors are from a bootstrap over "
        "events; points of one model have the same test jets, so that their differences are known "
        "better."
    )


def _latency(found: Sequence[Design]) -> tuple[Figure, str]:
    fig, ours, theirs = _beside()
    _draw(ours, found, lambda one: float(one.latency or 0), _accuracy)
    _published(theirs, lambda one: one.latency)
    ours.set_xlim(0, 1.4 * max(one.latency or 0.0 for one in found))
    _logarithmic(theirs, 1.0, 200.0)
    _finish_beside(ours, theirs, "latency [ns]")
    return fig, (
        "Accuracy against latency: left our designs, stages of the pipeline times the period of "
        "the clock that the constraints ask for, which no placed design has confirmed; right "
        f"published designs ({SOURCE}). {UNLIKE}."
    )


def _estimate(found: Sequence[Design]) -> tuple[Figure, str]:
    fig, axes = plotting.panels(columns=2, size=5.2)
    left, right = axes[0]
    for number, (model, some) in enumerate(_models(found).items()):
        look = {"color": COLOURS[number % len(COLOURS)], "label": model, "linestyle": "none"}
        marker = MARKERS[number % len(MARKERS)]
        luts = np.array([float(one.lut or 0) for one in some])
        left.plot([float(one.ebops or 0) for one in some], luts, marker=marker, **look)
        estimates = np.array([float(one.estimate or 0) for one in some])
        right.plot(luts, estimates / np.maximum(luts, 1), marker=marker, **look)
    counts = np.array([float(one.ebops or 0) for one in found])
    sizes = np.array([float(one.lut or 0) for one in found])
    ends = np.array([max(counts.min(), 1.0) / 2, 3 * counts.max()])
    left.plot(ends, ends, color="0.5", linestyle=":", label="LUT = EBOPs")
    right.axhline(1.0, color="0.5", linestyle=":")
    left.set_yscale("log")
    _logarithmic(left, *ends)
    _logarithmic(right, max(sizes.min(), 1.0) / 2, 3 * sizes.max())
    for ax in (left, right):
        plotting.label(ax, right="")
    bottom, top = left.get_ylim()
    left.set_ylim(bottom, 3 * top)
    left.set(xlabel="effective bit operations (EBOPs)", ylabel=f"LUT ({labels(found)})")
    right.set(xlabel=f"LUT ({labels(found)})", ylabel="LUTs, estimate over synthesis")
    _make_room(right, 0.3, 0.1)
    left.legend(loc="upper left", fontsize=10)
    return fig, (
        "Resource estimates against synthesis: left LUTs against effective bit operations, right "
        "the ratio of the estimate of the program that wrote the Verilog to the LUTs that "
        f"synthesis found ({labels(found)}). All are counts without errors."
    )


def _bits(found: Sequence[Design]) -> tuple[Figure, str]:
    fig, ax = plotting.figure()
    _draw(ax, found, lambda one: one.weight_bits or 0.0, lambda one: one.auc)
    low, high = ax.get_xlim()
    ax.set_xlim(max(0.0, low - 0.1 * (high - low)), high + 0.2 * (high - low))
    _finish(ax, "mean bits of a weight", "AUC, mean over classes")
    return fig, (
        "AUC against bit width: mean over classes of the area under the curve against the rest, "
        "and mean over all weights of their bits from the first to the last 1, pruned weights with "
        "0. Errors are from a bootstrap over events."
    )
