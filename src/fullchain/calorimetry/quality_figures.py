"""Figure of quality against time, from the numbers of evaluation, classifiers and timing."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import plotting
from fullchain.calorimetry.evaluation_looks import MARKERS, MODEL_COLOURS
from fullchain.calorimetry.published_models import BATCHES, PublishedModel, published, statement
from fullchain.calorimetry.quality_figure_names import QUALITY, name_of
from fullchain.calorimetry.quality_numbers import Entry, Group, groups

Content = Mapping[str, Any]
Drawn = tuple[Figure, str]

OPEN = ("o", "s", "^", "D", "v", "P")
"""Markers of published models."""

USUAL = 1000
"""Showers of a batch whose time is shown."""


def figures(
    evaluation: Sequence[Content], classifiers: Sequence[Content], timing: Sequence[Content]
) -> dict[str, Drawn]:
    """Give a figure with caption for each set of which a model has been judged and timed."""
    return {
        name_of(QUALITY, name): quality(group)
        for name, group in groups(evaluation, classifiers, timing).items()
        if any(one.auc and one.cpu_ms for one in group.models)
    }


def quality(group: Group) -> Drawn:
    """AUC of both levels against CPU time."""
    models = group.models
    _, known = published(group.voxels)
    timed = [model for model in known if model.cpu_ms is not None]
    fig, axes = plotting.panels(columns=2, size=6.0)
    fig.set_size_inches(12.0, 6.4)
    modes = " and ".join(sorted({one.mode for one in models if one.mode and one.auc}))
    batches: set[int] = set()
    for ax, level in zip(axes[0], ("low", "high"), strict=True):
        batches |= _own(ax, models, level)
        for number, model in enumerate(timed):
            _published(ax, model, level, OPEN[number % len(OPEN)])
        ax.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
        ax.set_xscale("log")
        ax.margins(x=0.08)
        ax.set_ylim(0.46, 1.02)
        ax.set_xlabel("CPU time for a shower [ms]")
        ax.set_ylabel(f"AUC, {level} level, {modes} mode")
    handles, labels = axes[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=11)
    plotting.label(axes[0][0], right="")
    text = (
        f"Quality against time: AUC ({modes} mode; 0.5 is best) and CPU time of one shower, at "
        f"batches of {' and '.join(map(str, sorted(batches)))} showers (one thread as a rule, see "
        "the table), for models of this run. Of the low level the larger AUC of network and "
        "boosted trees. Grey band: full simulation against "
        "itself; dotted line: time of the simulation that the models learn."
    )
    if timed:
        text += (
            f" Open markers: published, at batches of {BATCHES[-1]}. "
            f"{statement(group.kind, group.voxels)}."
        )
    return fig, text


def _own(ax: Axes, models: Sequence[Entry], level: str) -> set[int]:
    """Draw models of this run; gives the batch sizes that were used."""
    used = set()
    number = 0
    for one in models:
        # The same batch for all, where it was measured.
        batch = USUAL if USUAL in one.cpu_ms else max(one.cpu_ms, default=0)
        if one.role == "simulation" and batch:
            ax.axvline(
                one.cpu_ms[batch][0],
                color="0.3",
                linestyle=":",
                label="the simulation that is learned (time)",
            )
            used.add(batch)
        elif one.role == "reference" and level in one.auc:
            value, error = one.auc[level]
            ax.axhspan(
                value - error, value + error, color="0.8", zorder=0, label="full simulation again"
            )
        elif one.role == "model":
            if level in one.auc and batch:
                time, spread = one.cpu_ms[batch]
                value, error = one.auc[level]
                ax.errorbar(
                    time, value, xerr=spread, yerr=error, fmt=MARKERS[number % len(MARKERS)],
                    color=MODEL_COLOURS[number % len(MODEL_COLOURS)], label=one.name, markersize=7,
                )  # fmt: skip
                used.add(batch)
            number += 1
    return used


def _published(ax: Axes, model: PublishedModel, level: str, marker: str) -> None:
    assert model.cpu_ms is not None
    value = model.low if level == "low" else model.high
    ax.plot(
        model.cpu_ms[-1], value, marker, color="0.35", markerfacecolor="white", linestyle="none",
        markersize=7, label=f"{model.name} (published)",
    )  # fmt: skip
