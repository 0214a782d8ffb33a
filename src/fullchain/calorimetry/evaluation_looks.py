"""How models look in the figures of the judgement of showers, and what these have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain.calorimetry.evaluation_numbers import words_of
from fullchain.plotting import COLOURS, LINESTYLES

Content = Mapping[str, Any]
Drawn = tuple[Figure, str]

REFERENCE_COLOUR = "0.45"
MODEL_COLOURS = (COLOURS[0], COLOURS[2], COLOURS[1], COLOURS[3], COLOURS[6], COLOURS[5], COLOURS[8])
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

SIMULATION = "full simulation"


def looks(contents: Sequence[Content]) -> list[dict[str, Any]]:
    """Give colour, marker, line style and label of each content."""
    found: list[dict[str, Any]] = []
    number = 0
    for content in contents:
        if content["role"] == "reference":
            found.append(
                {
                    "color": REFERENCE_COLOUR, "marker": "x", "linestyle": ":",
                    "label": "simulation again",
                }
            )  # fmt: skip
            continue
        found.append(
            {
                "color": MODEL_COLOURS[number % len(MODEL_COLOURS)],
                "marker": MARKERS[number % len(MARKERS)],
                "linestyle": LINESTYLES[number // len(MODEL_COLOURS) % len(LINESTYLES)],
                "label": words_of(content),
            }
        )
        number += 1
    return found


def chosen_layers(content: Content, layers: Sequence[int], most: int) -> list[int]:
    """Give the numbers of layers in the file that are shown, spread where there are many."""
    if len(layers) <= most:
        return list(layers)
    places = np.linspace(0, len(layers) - 1, most).round().astype(int)
    return [layers[place] for place in places]


def energy_axis(ax: Axes) -> None:
    """Make the x axis one of energies in GeV."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(low / 1.4, high * 1.4)
    ax.set_xlabel(r"$E_{inc}$ [GeV]")


def single(axes: Any) -> Sequence[Axes]:
    """Axes of a grid in one list."""
    return list(np.ravel(axes))
