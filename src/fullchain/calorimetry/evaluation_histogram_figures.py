"""Distributions of features of generated showers beside those of the full simulation."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.calorimetry.evaluation_looks import (
    SIMULATION,
    Content,
    Drawn,
    chosen_layers,
    looks,
)
from fullchain.calorimetry.evaluation_numbers import geometry_of
from fullchain.calorimetry.features import RESPONSE

RATIO_RANGE = (0.7, 1.3)

LEAST = 10
"""Simulated entries of a bin whose ratio is drawn."""


def energies(contents: Sequence[Content]) -> Drawn:
    """E_tot / E_inc and the energies of layers."""
    geometry = geometry_of(contents[0])
    layers = chosen_layers(contents[0], [one.identifier for one in geometry.layers], 5)
    panels = {RESPONSE: r"$E_{tot}/E_{inc}$"}
    panels |= {f"E_layer_{one}": f"energy in layer {one} [MeV]" for one in layers}
    figure = _grid(contents, panels, columns=3, logarithmic=lambda name: name != RESPONSE)
    return figure, (
        f"Energies of showers, {contents[0]['set']}: total energy over that of the particle and "
        "energies of layers; below, the ratio to the full simulation (grey), with its statistical "
        "error as a band, in bins with ten entries or more."
    )


def positions(contents: Sequence[Content]) -> Drawn:
    """Centres and widths of the two layers with most energy."""
    geometry = geometry_of(contents[0])
    mean = np.array(contents[0]["mean_shower"]["test"])
    order = np.argsort([-mean[own].sum() for own in geometry.slices])[:2]
    panels: dict[str, str] = {}
    for place in sorted(order.tolist()):
        layer = geometry.layers[place]
        number = layer.identifier
        shown = {"EC_r": "mean radius", "width_r": "width in radius"}
        if layer.angles > 1:
            shown = {"EC_eta": r"centre in $\eta$", "width_eta": r"width in $\eta$"}
            shown |= {"EC_r": "mean radius"}
        panels |= {
            f"{kind}_{number}": f"{words}, layer {number} [mm]" for kind, words in shown.items()
        }
    figure = _grid(contents, panels, columns=3 if len(panels) > 4 else 2)
    return figure, (
        f"Centres of energy and widths of showers, {contents[0]['set']}: in the two layers with "
        "most energy; below, the ratio to the full simulation (grey), with its statistical error "
        "as a band."
    )


def voxels(contents: Sequence[Content]) -> Drawn:
    """Spectrum of voxel energies and sparsities of layers."""
    geometry = geometry_of(contents[0])
    layers = chosen_layers(contents[0], [one.identifier for one in geometry.layers], 5)
    panels = {"voxels": "energy of a voxel [MeV]"}
    panels |= {f"sparsity_{one}": f"sparsity of layer {one}" for one in layers}
    figure = _grid(contents, panels, columns=3, logarithmic=lambda name: name == "voxels")
    return figure, (
        f"Energies of voxels and sparsity, {contents[0]['set']}: spectrum over all voxels that are "
        "not empty, and the part of the voxels of a layer that is empty; below, the ratio to the "
        "full simulation (grey), with its statistical error as a band. Errors of the spectrum take "
        "voxels as independent."
    )


def _grid(
    contents: Sequence[Content],
    panels: Mapping[str, str],
    *,
    columns: int,
    logarithmic: Any = lambda name: False,
) -> Figure:
    """Panels with a ratio below each, placed by hand: finding a layout would take seconds."""
    rows = -(-len(panels) // columns)
    width, height = 4.3 * columns, 4.3 * rows
    fig = plt.figure(figsize=(width, height), layout="none")
    left, bottom, gap, space = 0.75, 0.65, 0.75, 0.85
    across = (width - left - 0.15 - (columns - 1) * gap) / columns
    up = (height - bottom - 0.35 - (rows - 1) * space) / rows
    styles = looks(contents)
    for number, (name, label) in enumerate(panels.items()):
        row, column = divmod(number, columns)
        x, y = left + column * (across + gap), bottom + (rows - 1 - row) * (up + space)
        ratio = fig.add_axes((x / width, y / height, across / width, 0.24 * up / height))
        ax = fig.add_axes(
            (x / width, (y + 0.27 * up) / height, across / width, 0.73 * up / height), sharex=ratio
        )
        ax.tick_params(labelbottom=False)
        # Each small tick costs time.
        for one in (ax, ratio):
            one.tick_params(which="minor", top=False, right=False)
        _panel(ax, ratio, name, contents, styles, logarithmic(name), number == 0)
        ratio.set_xlabel(label, fontsize=12)
        if number == 0:
            plotting.label(ax, right="")
            ax.legend(fontsize=9, loc="upper left")
        if number % columns == 0:
            ax.set_ylabel("entries")
            ratio.set_ylabel("ratio", loc="center")
    return fig


def _panel(
    ax: Axes,
    ratio: Axes,
    name: str,
    contents: Sequence[Content],
    styles: Sequence[Mapping[str, Any]],
    logarithmic: bool,
    legend: bool,
) -> None:
    first = contents[0]["histograms"][name]
    edges = np.array(first["edges"])
    test = np.array(first["test"][1:-1], dtype=float)
    errors = np.sqrt(test)
    drawing.histogram(ax, test, edges, errors=errors, color="0.8", filled=True, label=SIMULATION)
    # The ratio of a few entries says nothing.
    enough = np.where(test >= LEAST, test, np.nan)
    drawing.ratio_band(ratio, enough, errors, edges)
    ratio.axhline(1.0, color="0.5", linewidth=1.0, zorder=0)
    total = sum(first["test"])
    for content, style in zip(contents, styles, strict=True):
        found = content["histograms"][name]
        # The reference may have another number of showers.
        scale = total / sum(found["generated"])
        values = scale * np.array(found["generated"][1:-1])
        look = {"color": style["color"], "linestyle": style["linestyle"]}
        drawing.histogram(ax, values, edges, label=style["label"], **look)
        drawing.ratio_histogram(ratio, values, None, enough, edges, **look)
    filled = np.flatnonzero(test >= max(2.0, 1e-4 * test.sum()))
    if len(filled):
        low, high = edges[max(0, filled[0] - 1)], edges[min(len(edges) - 1, filled[-1] + 2)]
        ax.set_xlim(low, high)
    if logarithmic:
        ax.set_xscale("log")
    ax.set_yscale("log")
    top = max(float(test.max()), 1.0)
    bottom = max(0.5, 1e-4 * top)
    # Room for the legend.
    room = 0.12 + 0.09 * (1 + len(contents)) if legend else 0.15
    ax.set_ylim(bottom, bottom * (top / bottom) ** (1.0 / (1.0 - min(room, 0.7))))
    ratio.set_ylim(*RATIO_RANGE)
    ratio.tick_params(axis="y", which="minor", left=False, right=False)
