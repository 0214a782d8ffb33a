"""Draw the expected uncertainties of summaries, their bins, and the training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.inference.summary_comparison import Compared, Numbers, compare, median_member
from fullchain.inference.summary_figure_names import BINS, GROUPS, TRAINING, UNCERTAINTY

Drawn = dict[str, tuple[Figure, str]]


def figures(contents: Sequence[Numbers]) -> Drawn:
    """Give all figures with their captions, of the files of one analysis."""
    compared = compare(contents)
    return {
        UNCERTAINTY: uncertainty(contents[0], compared),
        GROUPS: groups(contents[0], compared),
        BINS: bins(contents, compared),
        TRAINING: training(contents),
    }


def _how(content: Numbers) -> str:
    return f"{content['analysis']}, {content['luminosity']:g}/fb"


def uncertainty(content: Numbers, compared: Sequence[Compared]) -> tuple[Figure, str]:
    """Expected uncertainty of each summary, with those of its seeds and of the training events."""
    fig, ax = plotting.figure()
    places = np.arange(len(compared))[::-1]
    for place, one in zip(places, compared, strict=True):
        colour = plotting.COLOURS[0] if one.kind == "loss" else plotting.COLOURS[2]
        spread = np.linspace(-0.15, 0.15, len(one.members)) if len(one.members) > 1 else [0.0]
        ax.plot(
            one.members, place - 0.25 + np.array(spread) * 0.3, ".", color="0.6", markersize=5,
            label="each seed" if place == places[0] else None,
        )  # fmt: skip
        ax.errorbar(
            one.value, place, xerr=one.error, fmt="o", color=colour, capsize=3,
            label="median, test events" if place == places[0] else None,
        )  # fmt: skip
        ax.plot(
            one.training, place + 0.2, "x", color="0.3",
            label="median, training events" if place == places[0] else None,
        )  # fmt: skip
    ax.set_yticks(places, [one.label for one in compared])
    ax.minorticks_off()
    ax.legend(loc="upper right", fontsize=10, ncols=3)
    plotting.finish(
        ax,
        xlabel="expected uncertainty on the signal strength",
        ylabel="",
        legend=False,
        headroom=1.0,
    )
    ax.set_ylim(-0.7, len(compared) + 0.6)
    low = min(min(one.value - one.error, one.training, *one.members) for one in compared)
    high = max(max(one.value + one.error, one.training) for one in compared)
    ax.set_xlim(max(0.0, low - 0.1 * (high - low)), high + 0.15 * (high - low))
    return fig, (
        f"Expected uncertainty on the signal strength ({_how(content)}) of the same events in bins "
        "of trained summaries (blue) and of scores as they are (red), all nuisance parameters and "
        "limited simulation included. Errors: seeds and a bootstrap of the test events. Crosses: "
        "the events that networks were trained on, whose simulation is larger."
    )


def groups(content: Numbers, compared: Sequence[Compared]) -> tuple[Figure, str]:
    """Expected uncertainty with each group of nuisance parameters held fixed."""
    fig, ax = plotting.figure()
    kinds = list(compared[0].groups)
    width = 0.8 / len(compared)
    for number, one in enumerate(compared):
        at = np.arange(len(kinds)) + (number - 0.5 * (len(compared) - 1)) * width
        ax.bar(
            at, [one.groups.get(kind, np.nan) for kind in kinds], width,
            color=plotting.COLOURS[number % len(plotting.COLOURS)], label=one.label,
        )  # fmt: skip
    names = [kind.replace("without ", "without\n") for kind in kinds]
    ax.set_xticks(np.arange(len(kinds)), names, fontsize=9)
    ax.set_ylim(0.0, 1.5 * max(one.value for one in compared))
    ax.tick_params(axis="x", which="minor", length=0)
    ax.legend(loc="upper right", fontsize=10, ncols=2)
    plotting.finish(ax, xlabel="", ylabel="expected uncertainty", legend=False, headroom=1.0)
    return fig, (
        f"Expected uncertainty on the signal strength ({_how(content)}) with all nuisance "
        "parameters, with none but free normalisations (statistical), and with each group held "
        "fixed. Median over seeds."
    )


def bins(contents: Sequence[Numbers], compared: Sequence[Compared]) -> tuple[Figure, str]:
    """Yields in the bins of the summary with the smallest uncertainty."""
    best = min(
        (one for one in compared if one.kind == "loss"), default=compared[0], key=lambda x: x.value
    )
    found = {name: one for content in contents for name, one in content["summaries"].items()}
    member = median_member(found[best.name])
    signals = contents[0]["signals"]
    values = {name: np.array(one) for name, one in member["yields"].items()}
    names = sorted(values, key=lambda name: (name in signals, -values[name].sum()))
    edges = np.arange(len(values[names[0]]) + 1, dtype=float)
    variance = np.sum([np.array(one) ** 2 for one in member["simulation"].values()], axis=0)
    fig, ax = plotting.figure()
    drawing.stack(
        ax,
        [values[name] for name in names],
        edges,
        labels=[plotting.process_label(name) for name in names],
        colors=[plotting.process_colour(name) for name in names],
        errors=np.sqrt(variance),
    )
    for name in (one for one in names if one in signals):
        ax.stairs(values[name], edges, color=plotting.process_colour(name), linewidth=2.0)
    total = np.sum(list(values.values()), axis=0)
    smallest = min(float(one[one > 0].min()) for one in values.values() if (one > 0).any())
    ax.set_ylim(max(0.3 * smallest, 1e-3), 30.0 * float(total.max()))
    ax.legend(loc="upper right", fontsize=10, ncols=2)
    plotting.finish(
        ax,
        xlabel="bin, by rising purity of the signal",
        ylabel="expected events",
        logy=True,
        legend=False,
        headroom=1.0,
    )
    return fig, (
        f"Expected events in the bins of {best.label} ({_how(contents[0])}, the seed of median "
        "uncertainty), bins merged where limited simulation says too little. Line: the signal "
        "alone. Band: limited simulation."
    )


def training(contents: Sequence[Numbers]) -> tuple[Figure, str]:
    """Loss on training and validation events, relative to the lowest of the validation."""
    fig, ax = plotting.figure()
    histories = [
        (compare([content])[0].label, one["history"])
        for content in contents
        for one in content["summaries"].values()
        if "history" in one
    ]
    highest = 1.2
    for number, (label, history) in enumerate(histories):
        lowest = np.min(history["validation"], axis=0)
        colour = plotting.COLOURS[number % len(plotting.COLOURS)]
        for part, style in (("validation", "-"), ("training", ":")):
            curve = np.median(np.array(history[part]) / lowest, axis=1)
            ax.plot(
                1 + np.arange(len(curve)), curve, style, color=colour,
                label=label if part == "validation" else None,
            )  # fmt: skip
            highest = max(highest, float(np.quantile(curve, 0.9)))
    ax.set_ylim(0.5, 1.0 + 1.5 * (min(highest, 3.0) - 1.0))
    if histories:
        ax.legend(loc="upper right", fontsize=10, ncols=2)
    plotting.finish(
        ax, xlabel="epoch", ylabel="loss / lowest of validation", legend=False, headroom=1.0
    )
    return fig, (
        "Loss during training, median over seeds, relative to the lowest validation loss of each: "
        "validation (lines) and training (dotted)."
    )
