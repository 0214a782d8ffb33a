"""Figures of the conversion with hls4ml, from hls4ml.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import plotting
from fullchain.firmware.hls_figure_names import ranges_name
from fullchain.plotting import COLOURS

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]


def figures(contents: Mapping[str, Content]) -> Drawn:
    """Give figures with captions, by name; `contents` by name of model and point."""
    return {ranges_name(name): _ranges(name, one) for name, one in contents.items()}


def _ranges(name: str, one: Content) -> tuple[Figure, str]:
    backend, entry = next(iter(one["emulations"].items()))
    layers = entry["layers"]
    exact = one["mode"] == "exact"
    fig, axes = plotting.panels(columns=2, size=5.2)
    weighted = [layer for layer in layers if "weights" in layer]
    _panel(
        axes[0][0],
        [layer["name"] for layer in weighted],
        [layer["weights"]["magnitudes"] for layer in weighted],
        [layer["types"].get("weight") for layer in weighted],
        "|weight or bias|",
    )
    held = "format" if exact else "result"
    _panel(
        axes[0][1],
        [layer["name"] for layer in layers],
        [layer["activations"]["magnitudes"] for layer in layers],
        [layer["format"] if exact else layer["types"].get(held) for layer in layers],
        "|output before rounding|",
    )
    formats = "formats of the network" if exact else "types chosen by hand"
    return fig, (
        f"{name}: magnitudes of weights and biases (left) and of outputs of jets before they are "
        "rounded (right), without zeros: median, 25 to 75 % (box), 5 to 95 % (thick line), all "
        f"(thin line). Grey: from the smallest step to the largest value of the types in hls4ml "
        f"for {backend} (left; none where products are built into the code) and of the {formats} "
        "(right; none where sums are kept exactly). What lies left of grey rounds to 0 or to one "
        "step, what lies right of it saturates."
    )


def _panel(
    ax: Axes,
    names: Sequence[str],
    magnitudes: Sequence[Sequence[float] | None],
    reaches: Sequence[Mapping[str, Any] | None],
    label: str,
) -> None:
    for place, (values, reach) in enumerate(zip(magnitudes, reaches, strict=True)):
        if reach is not None:
            top = max(reach["highest"], -reach["lowest"])
            ax.barh(
                place, top - reach["step"], left=reach["step"], height=0.8, color="0.85", zorder=0
            )
        if values is None:
            continue
        least, low, quarter, middle, most, high, largest = values
        ax.plot([least, largest], [place, place], color=COLOURS[0], linewidth=0.8)
        ax.plot([low, high], [place, place], color=COLOURS[0], linewidth=3)
        ax.barh(
            place, max(most - quarter, 0), left=quarter, height=0.4, color="white",
            edgecolor=COLOURS[0],
        )  # fmt: skip
        ax.plot([middle, middle], [place - 0.2, place + 0.2], color=COLOURS[1], linewidth=2)
    ax.set_xscale("log", base=2)
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlabel(label)
