"""Figure of the trainings of a tagger, from their history.json."""

from typing import Any

import numpy as np

from fullchain.drawing import curve
from fullchain.plotting import COLOURS, FigureSet, figure, finish

Numbers = dict[str, Any]


def draw(figures: FigureSet, tagger: str, histories: list[Numbers]) -> None:
    """Draw the losses of all trainings of a tagger; nothing of weights that a file gave."""
    if any("imported" in one for one in histories):
        return
    fig, ax = figure()
    for number, history in enumerate(histories):
        epochs = np.arange(1, len(history["train"]) + 1)
        colour = COLOURS[number % len(COLOURS)]
        own = f", {history['member']}" if len(histories) > 1 else ""
        for part, style, label in (
            ("train", "-", "training part"),
            ("validation", "--", "validation part"),
        ):
            losses = [terms["loss"] for terms in history[part]]
            curve(ax, epochs, losses, label=f"{label}{own}", color=colour, linestyle=style)
        best = history["best_epoch"] + 1
        kept = f"model kept (epoch {best})" if len(histories) == 1 else None
        ax.axvline(best, color="0.5", linewidth=1.0, label=kept)
    bound = "divergence" in histories[0]["train"][0] if histories[0]["train"] else False
    what = "cross entropy + KL / N" if bound else "cross entropy"
    finish(ax, xlabel="epoch", ylabel=what, right="")
    jets = " and ".join(f"{n} {name}" for name, n in histories[0]["jets"]["train"].items())
    several = f" (vertical lines: epochs kept of {len(histories)})" if len(histories) > 1 else ""
    figures.save(
        fig,
        f"history_{tagger}",
        f"Training of {tagger}",
        f"{what.replace('c', 'C', 1)} of {tagger} after each epoch, for {jets} jets to train on "
        f"and {histories[0]['parameters']} parameters{several}. In training, the mean over the "
        "epoch while the network changes; in validation, after it.",
    )
