"""Figure of quality against time, from the numbers of evaluation, classifiers and timing."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fullchain import plotting
from fullchain.calorimetry.evaluation_looks import MARKERS, MODEL_COLOURS
from fullchain.calorimetry.matching_figures import LOOKS
from fullchain.calorimetry.published_models import BATCHES, PublishedModel, published, statement
from fullchain.calorimetry.quality_figure_names import QUALITY, name_of
from fullchain.calorimetry.quality_front import BLIND, front
from fullchain.calorimetry.quality_numbers import Entry, Group, groups

Content = Mapping[str, Any]
Drawn = tuple[Figure, str]

OPEN = ("o", "s", "^", "D", "v", "P")
"""Markers of published models."""

USUAL = 1000
"""Showers of a batch whose time is shown where that of published times was not measured."""

PUBLISHED_COLOUR = "0.35"

SCANNED = "EC_r"
"""Separation that is the quality of solvers."""


def figures(
    evaluation: Sequence[Content],
    classifiers: Sequence[Content],
    timing: Sequence[Content],
    solvers: Sequence[Content] = (),
) -> dict[str, Drawn]:
    """Give a figure with caption for each set of which a model has been judged and timed."""
    return {
        name_of(QUALITY, name): quality(
            group, [one for one in solvers if one["model"] in {own.name for own in group.models}]
        )
        for name, group in groups(evaluation, classifiers, timing).items()
        if any(one.auc and one.cpu_ms for one in group.models)
    }


def quality(group: Group, solvers: Sequence[Content] = ()) -> Drawn:
    """AUC of both levels against CPU time with fronts, and the solvers of flow matching."""
    models = group.models
    timed = [model for model in published(group.voxels)[1] if model.cpu_ms is not None]
    fig, axes = plotting.panels(columns=3 if solvers else 2, size=6.0)
    fig.set_size_inches(18.0 if solvers else 12.0, 6.4)
    modes = " and ".join(sorted({one.mode for one in models if one.mode and one.auc}))
    batches: set[int] = set()
    for ax, level in zip(axes[0][:2], ("low", "high"), strict=True):
        batches |= _own(ax, models, level)
        _published(ax, timed, level)
        ax.axhline(BLIND, color="0.6", linewidth=0.8, zorder=0)
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
        f"the table), for models of this run: {BATCHES[-1]}, as the published ones, where it was "
        "measured. Lines: fronts, whose models no other beats in both; errors do not count, and "
        "less than 0.5 counts as that. The larger AUC of network and boosted "
        "trees. Grey band: full simulation against itself; dotted line: time of the simulation "
        "that the models learn. Numbers in the legend: evaluations of the busiest layer."
    )
    if timed:
        text += (
            f" Open markers: published, at batches of {BATCHES[-1]}. "
            f"{statement(group.kind, group.voxels)}."
        )
    if solvers:
        _solvers(axes[0][2], solvers)
        text += (
            " Right: solvers of flow matching, each with its number of evaluations, separation of "
            f"mean radii in layers of {solvers[0]['showers']} showers from test showers and time "
            f"at batches of {solvers[0]['batch']}, with their front; band: the exact solution. "
            "Solvers of the scan have no AUC but where a model uses them."
        )
    return fig, text


def _own(ax: Axes, models: Sequence[Entry], level: str) -> set[int]:
    """Draw models of this run and their front; gives the batch sizes that were used."""
    used = set()
    number = 0
    points: list[tuple[float, float]] = []
    for one in models:
        batch = _batch(one)
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
                    color=MODEL_COLOURS[number % len(MODEL_COLOURS)], label=_label(one),
                    markersize=7,
                )  # fmt: skip
                used.add(batch)
                points.append((time, value))
            number += 1
    _front(ax, points, "front of this run", color="0.1")
    return used


def _batch(one: Entry) -> int:
    """Size of the batches whose time is shown: as published ones, if it was measured; or 0."""
    for batch in (BATCHES[-1], USUAL):
        if batch in one.cpu_ms:
            return batch
    return max(one.cpu_ms, default=0)


def _label(one: Entry) -> str:
    several = one.evaluations is not None and one.evaluations > 1
    return f"{one.name} ({one.evaluations})" if several else one.name


def _published(ax: Axes, models: Sequence[PublishedModel], level: str) -> None:
    points = []
    for number, model in enumerate(models):
        assert model.cpu_ms is not None
        points.append((model.cpu_ms[-1], model.low if level == "low" else model.high))
        ax.plot(
            *points[-1], OPEN[number % len(OPEN)], color=PUBLISHED_COLOUR, markerfacecolor="white",
            linestyle="none", markersize=7, label=f"{model.name} (published)",
        )  # fmt: skip
    _front(ax, points, "front of published ones", color=PUBLISHED_COLOUR, linestyle="--")


def _front(
    ax: Axes, points: Sequence[tuple[float, float]], label: str, least: float = BLIND, **look: Any
) -> None:
    """Draw the front as steps: each point counts until a slower one is better."""
    places = front([(time, max(value, least)) for time, value in points])
    if len(places) > 1:
        line = [points[place] for place in places]
        ax.step(
            *zip(*line, strict=True), where="post", linewidth=1.0, zorder=1, label=label, **look
        )


def _solvers(ax: Axes, solvers: Sequence[Content]) -> None:
    """Separation of each solver of the scans against time, with evaluations beside the points."""
    for scan in solvers:
        name = f"{scan['model']}, " if len(solvers) > 1 else ""
        points = []
        for number, (method, (colour, marker, words)) in enumerate(LOOKS.items()):
            some = [one for one in scan["points"] if one["method"].split(":")[0] == method]
            if not some:
                continue
            time, spread = zip(*(one["ms"] for one in some), strict=True)
            value, error = zip(*(one["separations"][SCANNED] for one in some), strict=True)
            ax.errorbar(
                time, value, xerr=spread, yerr=error, fmt=marker, color=colour,
                label=f"{name}{words}", markersize=6, linestyle="none",
            )  # fmt: skip
            for one, x, y in zip(some, time, value, strict=True):
                ax.annotate(
                    f"{one['evaluations']:.0f}", (x, y), xytext=(5, 10 * (number - 2)),
                    textcoords="offset points", fontsize=9, color=colour,
                )  # fmt: skip
            points += list(zip(time, value, strict=True))
        _front(ax, points, f"{name}front", least=0.0, color="0.1")
        middle, error = scan["exact"]["separations"][SCANNED]
        ax.axhspan(middle - error, middle + error, color="0.85", zorder=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.margins(0.1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("CPU time for a shower [ms]")
    ax.set_ylabel("mean separation of layer radii")
    ax.legend(fontsize=10)
