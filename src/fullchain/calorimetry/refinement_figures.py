"""Figures of super-resolution, from the numbers of `refine`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.calorimetry.refinement_figure_names import CLOSURE, IMAGES, SEPARATION
from fullchain.plotting import COLOURS

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]

LOOKS = {
    "coarse": (COLOURS[2], "s", "coarse"),
    "refined": (COLOURS[0], "o", "super-resolved"),
    "transferred": (COLOURS[3], "v", "super-resolved, trained on fine"),
    "fine": ("black", "^", "true fine"),
}


def figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name."""
    found: Drawn = {}
    for one in contents:
        name = one["refinement"]
        found[f"{SEPARATION}_{name}"] = _separation(one)
        found[f"{IMAGES}_{name}"] = _images(one)
        found[f"{CLOSURE}_{name}"] = _closure(one)
    return found


def _separation(one: Content) -> tuple[Figure, str]:
    fig, axes = plotting.panels(columns=2, size=5.2)
    layer, found = one["settings"]["layer"], one["separation"]
    efficiency = 100 * one["settings"]["efficiency"]
    edges = np.array(found["edges"])
    for ax, method, title in zip(
        axes[0], ("classifier", "maxima"), ("classifier", "second maximum"), strict=True
    ):
        for place, (view, judged) in enumerate(found[method].items()):
            colour, marker, words = LOOKS[view]
            _points(ax, judged["resolved"], edges, place, len(found[method]), colour, marker, words)
        ax.axhline(1 - efficiency / 100, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
        wide = 1e3 * np.arctan(layer["cell"] * layer["factor"] / layer["distance"])
        ax.axvline(wide, color="0.5", linewidth=0.8, linestyle="--", zorder=0)
        ax.set_xlim(edges[0], edges[-1])
        plotting.finish(
            ax,
            xlabel="opening angle [mrad]",
            ylabel=f"part of pi0s resolved, {title}",
            right="",
            headroom=1.0,
            legend=False,
        )
        ax.set_ylim(0, 1.45)
        ax.set_yticks(np.linspace(0, 1, 6))
        ax.legend(loc="upper left", ncols=1, fontsize=10)
    return fig, (
        "Two photons of a pi0 against the opening angle: part taken for two photons at "
        f"{efficiency:.0f} % efficiency for single photons of the same energies (dotted: what "
        "chance gives), by a classifier trained on each kind of image (left) and by the height of "
        "the second maximum (right). Dashed: the angle that one coarse cell spans. Super-resolved "
        "images are drawn from coarse ones and know no more than these: the best classifier of "
        "coarse images is the limit, while methods that look at an image, such as maxima, may gain."
    )


def _points(
    ax: Axes,
    pairs: Sequence[Sequence[float | None]],
    edges: np.ndarray[Any, Any],
    place: int,
    places: int,
    colour: str,
    marker: str,
    words: str,
) -> None:
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    # Side by side within a bin.
    x = middle + width * 0.5 * ((place + 0.5) / places - 0.5)
    known = [index for index, (value, _) in enumerate(pairs) if value is not None]
    values, errors = np.array([pairs[index] for index in known], dtype=float).reshape(-1, 2).T
    ax.errorbar(
        x[known], values, yerr=errors, fmt=marker, color=colour, label=words, linestyle="-",
        linewidth=1.0,
    )  # fmt: skip


def _images(one: Content) -> tuple[Figure, str]:
    shown, layer = one["shown"], one["settings"]["layer"]
    fig, axes = plotting.panels(columns=3, rows=len(shown), size=3.4)
    half = 0.5 * layer["coarse"] * layer["factor"] * layer["cell"]
    threshold = layer["threshold"]
    for row, event in zip(axes, shown, strict=True):
        views = {view: np.array(event[view]) for view in ("coarse", "refined", "fine")}
        norm = LogNorm(threshold, max(views["coarse"].max(), 2 * threshold))
        for ax, (view, cells) in zip(row, views.items(), strict=True):
            drawn = ax.imshow(
                np.where(cells > 0, cells, np.nan),
                norm=norm,
                extent=(-half, half, -half, half),
                origin="lower",
                cmap="viridis",
                interpolation="nearest",
            )
            ax.set_title(
                f"{LOOKS[view][2]}, {event['energy'] / 1000:.1f} GeV, {event['angle']:.0f} mrad",
                fontsize=9,
            )
            ax.tick_params(labelsize=9)
        row[0].set_ylabel("y [mm]", fontsize=11)
        fig.colorbar(drawn, ax=row[-1], label="energy [MeV]")
    for ax in axes[-1]:
        ax.set_xlabel("x [mm]", fontsize=11)
    return fig, (
        "Images of pi0s with small, middle and large opening angles: what coarse cells have "
        "(left), what the flow draws from that (middle), and what truly was there (right). Where "
        "coarse cells do not tell, the flow draws one of the possible insides, which need not be "
        "the true one."
    )


def _closure(one: Content) -> tuple[Figure, str]:
    fig, axes = plotting.panels(columns=2, size=5.0)
    words = {"cell": "energy of a fine cell [MeV]", "width": "width of the image [mm]"}
    for ax, (quantity, xlabel) in zip(axes[0], words.items(), strict=True):
        found = one["closure"][quantity]
        for view in ("fine", "refined"):
            entry = found["of"][view]
            colour, _, text = LOOKS[view]
            if view != "fine":
                value, error = entry["separation"]
                text += f": {1000 * value:.2f} ± {1000 * error:.2f}"
            drawing.histogram(
                ax, entry["values"], found["edges"], errors=entry["errors"], label=text,
                color=colour,
            )  # fmt: skip
        value, error = found["of"]["floor"]["separation"]
        ax.plot([], [], " ", label=f"second true sample: {1000 * value:.2f} ± {1000 * error:.2f}")
        if quantity == "cell":
            ax.set_xscale("log")
        plotting.finish(
            ax, xlabel=xlabel, ylabel="part of entries", right="", headroom=1.5,
            logy=quantity == "cell",
        )  # fmt: skip
        ax.legend(title="separation x 1000 from true", fontsize=10, title_fontsize=10)
    return fig, (
        "Closure of super-resolution: spectrum of fine cells and width of images (root mean square "
        "distance from the centre of energy), for all images of the test. Outermost bins hold what "
        "lies beyond; errors are from a bootstrap over images."
    )
