"""Draw how results in bins depend on the prior with which iterations begin."""

from collections.abc import Sequence

import numpy as np

from fullchain.plotting import FigureSet, label
from fullchain.unfolding import looks
from fullchain.unfolding.figures import BINNED
from fullchain.unfolding.looks import Numbers


def draw(figures: FigureSet, several: Sequence[Numbers]) -> None:
    """Draw the change of each bin with the other prior, of methods in bins."""
    tested = [one for one in several if one["method_kind"] == BINNED]
    if not tested:
        return
    names = looks.observables(several)
    fig, axes = looks.panels(len(names))
    for name, ax in zip(names, axes, strict=True):
        for number, one in enumerate(tested):
            mine = one["observables"][name]["published"]
            found = mine.get("prior_dependence")
            if not found or found["rms"] is None:
                continue
            edges = np.array(mine["edges"])
            # Side by side in the bin, or the points of one method would hide those of another.
            beside = (number - 0.5 * (len(tested) - 1)) / (len(tested) + 1) * np.diff(edges)
            look, rms = looks.look(one["method"], several), found["rms"]
            ax.errorbar(
                0.5 * (edges[1:] + edges[:-1]) + 0.8 * beside,
                np.array(found["changes"], dtype=float),
                yerr=np.array(found["deviations"], dtype=float),
                fmt=look["marker"],
                color=look["color"],
                label=f"{one['method']}, {found['prior']}: {rms['value']:.2g} ± "
                f"{rms['deviation']:.1g}",
            )
            ax.set_xlim(edges[0], edges[-1])
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=10, loc="upper left")
        else:
            ax.text(0.5, 0.5, "no replicas", transform=ax.transAxes, ha="center")
        ax.axhspan(-1.0, 1.0, color="0.92", zorder=0)
        ax.axhline(0.0, color="0.5", linewidth=1.0, zorder=0)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.2 * len(tested) * (high - low))
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
        "another prior, a flat one in place of that of the simulation or the reverse, over the "
        "standard deviation of the result, with as many iterations; and the root mean square of "
        f"all bins. {looks.what(one)}; {looks.events(one)}. Errors are of the same bootstrap "
        "replicas with both priors. Data cannot tell the two apart inside of the band.",
    )
