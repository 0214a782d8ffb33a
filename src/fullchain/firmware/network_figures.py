"""Figures of trained and quantised networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.firmware.network_figure_names import BITS, PROGRESS, TRAINING
from fullchain.plotting import COLOURS

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]

PARTS = {
    "weight": ("weights", "bits from first to last 1"),
    "bias": ("biases", "bits from first to last 1"),
    "activation": ("inputs and activations", "bits of the format"),
}


def figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name, of points with their `census` and `quantisation`.

    Points are those of `point_files.by_point`.
    """
    found: Drawn = {}
    for one in contents:
        name = f"{one['model']}_{one['point']}"
        found[f"{BITS}_{name}"] = _bits(one)
        if one["quantisation"]["training"]:
            found[f"{PROGRESS}_{name}"] = _progress(one)
    return found


def training_figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name, of trainings in floating point (`training.json`)."""
    return {f"{TRAINING}_{one['model']}": _training(one) for one in contents}


def _training(one: Content) -> tuple[Figure, str]:
    fig, ax = plotting.figure()
    _losses(ax, one)
    plotting.finish(ax, xlabel="epoch", ylabel="loss", right="")
    jets = one["jets"]
    return fig, (
        f"Training of {one['model']} in floating point: loss after each epoch, for "
        f"{jets['training']} jets to train on and {jets['validation']} to choose the epoch with. "
        "In training it is the mean over the epoch while the network changes."
    )


def _losses(ax: Axes, record: Content) -> None:
    for part, style, words in (
        ("train", "-", "training part"),
        ("validation", "--", "validation part"),
    ):
        losses = [terms.get("task", terms["loss"]) for terms in record[part]]
        drawing.curve(
            ax, np.arange(1, len(losses) + 1), losses, label=words, linestyle=style,
            color=COLOURS[0],
        )  # fmt: skip
    best = record["best_epoch"] + 1
    ax.axvline(best, color="0.5", linewidth=1.0, label=f"network kept (epoch {best})")


def _progress(one: Content) -> tuple[Figure, str]:
    fig, axes = plotting.panels(columns=2, size=5.2)
    record = one["quantisation"]["training"]
    _losses(axes[0][0], record)
    plotting.finish(axes[0][0], xlabel="epoch", ylabel="loss without price of bits", right="")
    costs = [terms["ebops"] for terms in record["validation"]]
    ax = axes[0][1]
    drawing.curve(ax, np.arange(1, len(costs) + 1), costs, label="in training", color=COLOURS[1])
    ax.plot(
        [record["best_epoch"] + 1], [one["census"]["ebops"]], "o", color="black", label="exported"
    )
    plotting.finish(ax, xlabel="epoch", ylabel="EBOPs", right="")
    return fig, (
        f"Training of {one['model']} with rounded numbers, {one['point']}: loss of the task (left) "
        "and effective bit operations (right) after each epoch. In training, EBOPs are a bound, "
        "because a weight may end in zeros and channels may lead nowhere; the point is exact for "
        "the network that was exported."
    )


def _bits(one: Content) -> tuple[Figure, str]:
    fig, axes = plotting.panels(columns=len(PARTS), size=4.6)
    for ax, (part, (title, words)) in zip(axes[0], PARTS.items(), strict=True):
        bits = one["census"]["bits"]
        entries = [(name, layer[part]) for name, layer in bits.items() if part in layer]
        widest = max(entry["largest"] for _, entry in entries)
        for number, (name, entry) in enumerate(entries):
            counts = np.zeros(widest + 1)
            counts[: len(entry["numbers"])] = entry["numbers"]
            drawing.histogram(
                ax, counts, np.arange(widest + 2) - 0.5, label=name,
                color=COLOURS[number % len(COLOURS)],
            )  # fmt: skip
        plotting.finish(
            ax, xlabel=f"{title}: {words}", ylabel="numbers", right="", logy=part == "weight"
        )
    return fig, (
        f"Bits of {one['model']}, {one['point']}, by layer: of weights and biases from their first "
        "to their last 1 without the sign (0: the number is 0), of inputs and activations the "
        "width of the format with the sign (0: the channel is removed)."
    )
