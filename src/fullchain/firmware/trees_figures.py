"""Figures of trees as they grow, from `training.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.firmware.trees_figure_names import GROWTH
from fullchain.plotting import COLOURS

Content = Mapping[str, Any]


def figures(contents: Sequence[Content]) -> dict[str, tuple[Figure, str]]:
    """Give figures with captions, by name."""
    return {f"{GROWTH}_{one['model']}": _growth(one) for one in contents}


def _growth(one: Content) -> tuple[Figure, str]:
    fig, ax = plotting.figure()
    parts = (("train", "-", "training part"), ("validation", "--", "validation part"))
    for part, style, words in parts:
        losses = one["loss"][part]
        drawing.curve(
            ax, np.arange(len(losses)), losses, label=words, linestyle=style,
            color=COLOURS[0],
        )  # fmt: skip
    ax.axvline(one["rounds"], color=COLOURS[1], linewidth=1)
    plotting.finish(ax, xlabel="round", ylabel="loss", right="")
    return fig, (
        f"Growth of {one['model']}: cross-entropy after each round, in which each class gets a "
        f"tree; 0 is without trees. The line is the round that is kept: {one['trees']} trees "
        f"with {one['cuts']} cuts, the lowest loss on {one['jets']['validation']} jets that did "
        "not grow them."
    )
