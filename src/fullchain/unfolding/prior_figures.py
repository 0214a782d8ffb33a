"""Draw how results depend on the prior with which iterations begin."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from fullchain.plotting import FigureSet, label
from fullchain.unfolding import looks
from fullchain.unfolding.looks import Numbers

LINEAR = 3.0
"""Largest change, in standard deviations, of an axis that is linear as a whole."""


def draw(figures: FigureSet, several: Sequence[Numbers]) -> None:
    """Draw the change of each bin with other priors, of all methods that have one."""
    names = looks.observables(several)
    tested = {name: _tested(several, name) for name in names}
    most = max(len(found) for found in tested.values())
    if not most:
        return
    fig, axes = looks.panels(len(names))
    for name, ax in zip(names, axes, strict=True):
        for number, (one, found) in enumerate(tested[name]):
            # Side by side in the bin, or the points of one would hide those of another.
            beside = (number - 0.5 * (most - 1)) / (most + 1)
            _points(ax, several, one, name, found, beside)
        if not tested[name]:
            ax.text(0.5, 0.5, "no replicas", transform=ax.transAxes, ha="center")
        edges = several[0]["observables"][name]["published"]["edges"]
        ax.set_xlim(edges[0], edges[-1])
        ax.axhspan(-1.0, 1.0, color="0.92", zorder=0)
        ax.axhline(0.0, color="0.5", linewidth=1.0, zorder=0)
        _scale(ax, most)
        if tested[name]:
            ax.legend(fontsize=10 if most < 4 else 8, loc="upper left")
        ax.set_xlabel(looks.axis(several[0]["observables"][name]))
        ax.set_ylabel("change / uncertainty")
    label(axes[0], right="")
    one = several[0]
    looks.save(
        figures,
        fig,
        f"prior_{one['measurement']}",
        f"Dependence on the prior, {one['measurement']}",
        "Change of the unfolded number of events in the published bins if iterations begin with "
        "another prior, over the standard deviation of the result, with as many iterations; and "
        "the root mean square of all bins. Flat: a flat prior in place of that of the simulation, "
        "for methods in bins, with errors of the same bootstrap replicas with both priors. Other "
        "names: alternatives that are the simulated events with another spectrum at the particle "
        "level; errors are those of independent trainings, which have the same starts, and of the "
        f"root mean square those of the jackknife over bins. {looks.what(one)}; "
        f"{looks.events(one)}. Data cannot tell priors apart inside of the band.",
    )


def _tested(several: Sequence[Numbers], name: str) -> list[tuple[Numbers, Numbers]]:
    """Methods with each of their tests that has bins with an uncertainty."""
    return [
        (one, found)
        for one in several
        for found in one["observables"][name]["published"]["prior_dependence"]
        if found["rms"] is not None
    ]


def _scale(ax: Axes, entries: int) -> None:
    """Leave room for the legend; far changes are logarithmic, or they would hide all others."""
    shown = ax.get_ylim()
    if max(map(abs, shown)) > LINEAR:
        ax.set_yscale("symlog", linthresh=1.0, linscale=1.0)
        ticks = [sign * one for one in (0.0, 1.0, 3.0, 10.0, 30.0, 100.0) for sign in (-1.0, 1.0)]
        ax.set_yticks([tick for tick in ticks if shown[0] <= tick <= shown[1]])
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(np.array(shown))
    room = (high - low) * np.array([-0.05, 0.13 * (entries + 1)])
    bottom, top = scale.inverted().transform(np.array([low, high]) + room)
    ax.set_ylim(float(bottom), float(top))


def _points(
    ax: Axes, several: Sequence[Numbers], one: Numbers, name: str, found: Numbers, beside: float
) -> None:
    edges = np.array(one["observables"][name]["published"]["edges"])
    rms = found["rms"]
    look = looks.look(one["method"], several)
    # Of a method in bins the flat prior is drawn open, as alternatives have its marker, too.
    face = "white" if "counts" in found else look["color"]
    ax.errorbar(
        0.5 * (edges[1:] + edges[:-1]) + 0.8 * beside * np.diff(edges),
        np.array(found["changes"], dtype=float),
        yerr=np.array(found["deviations"], dtype=float),
        fmt=look["marker"],
        color=look["color"],
        markerfacecolor=face,
        label=f"{one['method']}, {found['prior']}: {rms['value']:.2g} ± {rms['deviation']:.1g}",
    )
