"""Draw the figures of pile-up mitigation from the saved numbers."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.errors import InputError
from fullchain.pileup.figures import METHODS
from fullchain.plotting import (
    COLOURS,
    FigureSet,
    figure,
    figure_set,
    finish,
    label,
    panels,
    process_label,
)
from fullchain.step import Given, Input, Output

_COLOURS = {
    "none": COLOURS[7],
    "chs": COLOURS[1],
    "softkiller": COLOURS[3],
    "puppi": COLOURS[0],
    "truth": "black",
}
_NAMES = {
    "none": "no mitigation",
    "chs": "CHS",
    "softkiller": "SoftKiller",
    "puppi": "PUPPI",
    "truth": "true weights",
}
_AXES = {
    "jet_pt": ("AK8 jet $p_T$", "resolution"),
    "jet_mass": ("AK8 jet mass", "resolution"),
    "met": ("missing $p_T$", "resolution of a component [GeV]"),
}
_MARKERS = "osD^vP*X"
_TRAINING = re.compile(r"_seed\d+$")


def main(
    *,
    numbers: Annotated[Path, Input("numbers of 'pileup evaluate'")],
    cost: Annotated[Path, Input("times of 'pileup evaluate'")],
    comparisons: Annotated[list[Path], Input("numbers of 'pileup compare'")] = [],  # noqa: B006
    index: Annotated[Path, Output("list of the figures, beside which they lie")],
    settings: Given,
) -> None:
    """Draw all figures.

    Raises
    ------
    InputError
        A file does not hold the numbers it should.
    """
    figures = figure_set(index, "pileup")
    for sample, content in _read(numbers)["samples"].items():
        for quantity in METHODS:
            _draw_against_interactions(figures, sample, quantity, content)
        _draw_kept(figures, sample, content)
    times = _read(cost)["samples"]
    if times:
        _draw_cost(figures, times)
    for path in comparisons:
        _draw_stored(figures, _read(path))
    figures.write()


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as problem:
        raise InputError(f"{path}: not numbers of the stage pileup ({problem}); rerun it") from None


def _drawn(content: dict[str, Any]) -> dict[str, Any]:
    """Give the methods to draw: single trainings of a learned one are among the metrics only."""
    return {name: one for name, one in content["methods"].items() if not _TRAINING.search(name)}


def _look(method: str, place: int) -> dict[str, Any]:
    free = [colour for colour in COLOURS if colour not in _COLOURS.values()]
    colour = _COLOURS.get(method, free[place % len(free)])
    return {"color": colour, "marker": _MARKERS[place % len(_MARKERS)]}


def _name(method: str) -> str:
    return _NAMES.get(method, method)


def _draw_against_interactions(
    figures: FigureSet, sample: str, quantity: str, content: dict[str, Any]
) -> None:
    """Response and resolution of each method, against the number of pile-up interactions."""
    text, resolution = _AXES[quantity]
    statistics = ("resolution",) if quantity == "met" else ("response", "resolution")
    fig, axes = panels(len(statistics), size=5.4)
    methods = _drawn(content)
    for ax, statistic in zip(axes[0], statistics, strict=True):
        for place, (method, entries) in enumerate(methods.items()):
            bins = entries.get(quantity, {}).get("bins", [])
            values = np.array([one[statistic] for one in bins]).reshape(-1, 2)
            # methods side by side, so that no error bar hides another
            shift = 0.25 * (place - 0.5 * (len(methods) - 1))
            x = np.array([one["interactions"] for one in bins]) + shift
            ax.errorbar(
                x, values[:, 0], yerr=values[:, 1], label=_name(method), linestyle="-",
                linewidth=1.0, **_look(method, place),
            )  # fmt: skip
        if statistic == "response":
            ax.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
        ax.margins(x=0.04)
        named = f"median response of {text}" if statistic == "response" else resolution
        first = ax is axes[0][0]
        headroom = 1.5 if first else 1.1
        finish(ax, xlabel="pile-up interactions", ylabel=named, headroom=headroom, legend=first)
        if statistic == "response":
            ax.set_ylim(*_range(ax, methods, quantity))
    what = "" if quantity == "met" else "Median of the ratio to the particle-level jet, and "
    spread = "the difference to the neutrinos" if quantity == "met" else "that ratio"
    figures.save(
        fig,
        f"{quantity}_{sample}",
        f"{text} against pile-up, {process_label(sample)}",
        f"{what}{'I' if not what else 'i'}nterquartile range of {spread} over 1.349 against the "
        f"number of pile-up interactions, in {content['events']} events of {sample} with "
        f"{content['interactions']:.1f} on average. True weights: each candidate with the part of "
        "its energy that is from the hard collision, the best that weights can do. Points of the "
        "methods are shifted sideways; bars are bootstrap uncertainties over events.",
    )


def _range(ax: Any, methods: dict[str, Any], quantity: str) -> tuple[float, float]:
    values = [
        one["response"][0]
        for entries in methods.values()
        for one in entries.get(quantity, {}).get("bins", [])
    ]
    if not values:
        return 0.5, 1.5
    low, high = min([*values, 1.0]), max([*values, 1.0])
    return low - 0.1 * (high - low), high + 0.7 * (high - low)


def _draw_kept(figures: FigureSet, sample: str, content: dict[str, Any]) -> None:
    """Draw what each method keeps of the hard collision and of pile-up, by kind of candidate."""
    fig, axes = panels(2, size=5.4)
    methods = [method for method in _drawn(content) if method not in ("none", "truth")]
    for ax, origin in zip(axes[0], ("hard", "pileup"), strict=True):
        categories: list[str] = []
        for place, method in enumerate(methods):
            kept = content["methods"][method]["kept"]
            categories = [name for name in kept if origin in kept[name]]
            values = np.array([kept[name][origin] for name in categories]).reshape(-1, 2)
            x = np.arange(len(categories)) + 0.15 * (place - 0.5 * (len(methods) - 1))
            ax.errorbar(
                x, values[:, 0], yerr=values[:, 1], label=_name(method), linestyle="none",
                **_look(method, place),
            )  # fmt: skip
        ax.set_xlim(-0.5, max(len(categories), 1) - 0.5)
        ax.set_ylim(0.0, 1.0)
        what = "the hard collision" if origin == "hard" else "pile-up"
        finish(ax, xlabel="", ylabel=f"kept part of the $p_T$ of {what}", headroom=1.4)
        ax.set_xticks(range(len(categories)), categories, fontsize=11)
    figures.save(
        fig,
        f"kept_{sample}",
        f"What each method keeps, {process_label(sample)}",
        "Part of the scalar sum of pT that each method keeps, of the hard collision (left, best 1) "
        f"and of pile-up (right, best 0), in {content['events']} events of {sample} with "
        f"{content['interactions']:.1f} pile-up interactions on average: of charged and of neutral "
        "candidates, and of all candidates within and beyond the tracker. Errors (bootstrap) are "
        "mostly smaller than the points.",
    )


def _draw_cost(figures: FigureSet, times: dict[str, Any]) -> None:
    """Draw the time of each method against the mean number of interactions."""
    fig, ax = figure()
    ordered = sorted(times.items(), key=lambda item: item[1]["interactions"])
    methods = [name for name in ordered[0][1]["milliseconds"] if name != "none"]
    for place, method in enumerate(methods):
        x = [content["interactions"] for _, content in ordered]
        y = [content["milliseconds"][method] for _, content in ordered]
        ax.plot(x, y, label=_name(method), linestyle="none", **_look(method, place))
    ax.set_xlim(0.0, 1.2 * max(content["interactions"] for _, content in ordered))
    finish(ax, xlabel="pile-up interactions", ylabel="time per event [ms]")
    figures.save(
        fig,
        "cost",
        "Time of the methods",
        "Processor time of each method per event on one core of the machine of this run, without "
        "reading and compilation; a point for each sample. It depends on what else ran there.",
    )


def _draw_stored(figures: FigureSet, content: dict[str, Any]) -> None:
    """Draw our weights against those of the file, and the ratio of jet pT."""
    regions = content["regions"]
    fig, axes = panels(len(regions) + 1, size=4.6)
    edges = np.array(content["pt_edges"])
    for ax, (region, found) in zip(axes[0], regions.items(), strict=False):
        scatter = np.array(found["scatter"], dtype=float).T
        drawn = ax.pcolormesh(
            edges, edges, np.where(scatter > 0, np.log10(np.maximum(scatter, 1)), np.nan)
        )
        fig.colorbar(drawn, ax=ax, label="log10 of candidates")
        low, _, high = region.partition("-")
        ax.set_xlabel("weight of the file")
        ax.set_ylabel("our weight")
        ax.set_title(rf"{low} < $|\eta|$ < {high}", fontsize=11, loc="right")
    ax = axes[0][-1]
    values = np.array(content["jets"].get("pt", {"values": []})["values"])
    ax.hist(np.clip(values, 0.9, 1.1), bins=np.linspace(0.9, 1.1, 41), color=COLOURS[0])
    ax.set_xlabel("ratio of AK8 jet $p_T$")
    ax.set_ylabel("jets")
    label(ax, right="")
    figures.save(
        fig,
        f"stored_{content['sample']}",
        f"PUPPI weights and those of the file, {content['sample']}",
        f"Weights of neutral candidates in {content['events']} events of {content['sample']}, ours "
        "against those in the file, in the regions of PUPPI; on the right the ratio of the pT of "
        "AK8 jets with both. Tracks are associated as in the file. Outermost bins of the ratio "
        "hold what lies outside.",
    )
