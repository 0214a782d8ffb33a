"""How methods and observables look in the figures of the stage."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from fullchain.plotting import COLOURS, FigureSet, plt

Numbers = dict[str, Any]
Array = npt.NDArray[np.float64]

MARKERS = "osDv^P<>Xph"
TRUTH: dict[str, Any] = {"color": "0.82"}
PRIOR: dict[str, Any] = {"color": "0.35", "linestyle": "--"}

KINDS = {
    "measurement": "measurement",
    "closure": "closure",
    "stressed": "stressed closure",
    "swap": "swap of the generator",
}


def placed(everything: Sequence[Numbers]) -> None:
    """Give each method its place among all, so that it looks the same in all figures."""
    names = list(dict.fromkeys(one["method"] for one in everything))
    for one in everything:
        one["place"] = names.index(one["method"])


def look(method: str, several: Sequence[Numbers]) -> dict[str, Any]:
    """Colour and marker of a method, see `placed`."""
    place = next(one["place"] for one in several if one["method"] == method)
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}


def axis(one: Numbers) -> str:
    """Label of an observable, with its unit."""
    label: str = one["label"]
    return f"{label} [{one['unit']}]" if one["unit"] else label


def observables(several: Sequence[Numbers]) -> list[str]:
    """Names of the observables of a measurement, as all its methods have them."""
    return list(several[0]["observables"])


def density(counts: Sequence[float], edges: Sequence[float]) -> Array:
    """Counts (bins) as a density of unit integral; zeros where there are none."""
    values = np.asarray(counts, dtype=float)
    total = values.sum()
    found: Array = values / np.diff(edges) / (total if total > 0 else 1.0)
    return found


def events(one: Numbers) -> str:
    """How many events went into a measurement."""
    sizes = one["sizes"]
    return (
        f"{sizes['data']} measured and {sizes['simulated_gen']} simulated events at particle level"
    )


def what(one: Numbers) -> str:
    """What a measurement is: its kind and samples."""
    stress = one["stress"]
    changed = "" if stress is None else f", {stress['observable']} stressed by {stress['slope']:g}"
    return (
        f"{KINDS[one['kind']]}, {' + '.join(one['data'])}{changed} unfolded with "
        f"{' + '.join(one['simulation'])}"
    )


def grid(number: int) -> tuple[int, int]:
    """Rows and columns of so many panels."""
    columns = min(number, 3)
    return -(-number // columns), columns


def panels(number: int, width: float = 4.6, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """So many panels; sizes of one in inches."""
    rows, columns = grid(number)
    fig = plt.figure(figsize=(max(width * columns, 6.4), height * rows), layout="constrained")
    spaces = fig.add_gridspec(rows, columns)
    axes = [fig.add_subplot(spaces[divmod(one, columns)]) for one in range(number)]
    for ax in axes:
        # Most of the time of a figure of many panels goes into its minor ticks.
        ax.minorticks_off()
    return fig, axes


def ratio_panels(
    number: int, width: float = 4.6, height: float = 4.4
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """So many panels with a ratio panel below each; sizes of one in inches."""
    rows, columns = grid(number)
    fig = plt.figure(figsize=(max(width * columns, 6.4), height * rows), layout="constrained")
    spaces = fig.add_gridspec(2 * rows, columns, height_ratios=(5, 2) * rows)
    found = []
    for one in range(number):
        row, column = divmod(one, columns)
        upper = fig.add_subplot(spaces[2 * row, column])
        lower = fig.add_subplot(spaces[2 * row + 1, column], sharex=upper)
        upper.tick_params(labelbottom=False)
        upper.minorticks_off()
        lower.minorticks_off()
        lower.axhline(1.0, color="0.5", linewidth=1.0, zorder=0)
        found.append((upper, lower))
    return fig, found


def logarithmic(ax: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers also where it spans less than a decade."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    few = low > 0 and high / low < 30
    ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=9))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def save(figures: FigureSet, fig: Figure, name: str, title: str, caption: str) -> None:
    """Save a figure whose panels are placed once, and not for each format anew."""
    engine = fig.get_layout_engine()
    if engine is not None:
        engine.execute(fig)
        fig.set_layout_engine("none")
    figures.save(fig, name, title, caption)


def legend_below(fig: Figure, axes: Sequence[Axes], columns: int = 3) -> None:
    """Put one legend under all panels, each label once."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    fig.legend(
        list(found.values()), list(found), loc="outside lower center", ncols=columns, fontsize=12
    )
