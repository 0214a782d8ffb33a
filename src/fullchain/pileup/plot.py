"""Draw the figures of pile-up mitigation from the saved numbers."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.pileup.discrimination_figures import draw_discrimination
from fullchain.pileup.interaction_figures import draw_against_interactions
from fullchain.pileup.method_look import drawn, look, name_of
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
from fullchain.saved_numbers import read_numbers
from fullchain.step import Given, Input, Output


def main(
    *,
    numbers: Annotated[Path, Input("numbers of 'pileup evaluate'")],
    cost: Annotated[Path, Input("times of 'pileup evaluate'")],
    comparisons: Annotated[list[Path], Input("numbers of 'pileup compare'")] = [],  # noqa: B006
    pairs: Annotated[list[Path], Input("numbers of 'pileup discriminate'")] = [],  # noqa: B006
    index: Annotated[Path, Output("list of the figures, beside which they lie")],
    settings: Given,
) -> None:
    """Draw all figures.

    Raises
    ------
    InputError
        A file does not hold the numbers it should.
    """
    energy = f"{settings['ntuples.beams.energy'] / 1000:g} TeV"
    figures = figure_set(index, "pileup")
    for sample, content in read_numbers(numbers, "pileup", "samples").items():
        draw_against_interactions(figures, sample, content, energy)
        _draw_kept(figures, sample, content, energy)
    times = read_numbers(cost, "pileup", "samples")
    if times:
        _draw_cost(figures, times, energy)
    for path in comparisons:
        _draw_stored(figures, read_numbers(path, "pileup"))
    draw_discrimination(figures, [read_numbers(path, "pileup") for path in pairs], energy)
    figures.write()


def _draw_kept(figures: FigureSet, sample: str, content: dict[str, Any], energy: str) -> None:
    """Draw what each method keeps of the hard collision and of pile-up, by kind of candidate."""
    fig, axes = panels(2, size=5.4)
    methods = [method for method in drawn(content) if method not in ("none", "truth")]
    for ax, origin in zip(axes[0], ("hard", "pileup"), strict=True):
        categories: list[str] = []
        for place, method in enumerate(methods):
            kept = content["methods"][method]["kept"]
            categories = [name for name in kept if origin in kept[name]]
            values = np.array([kept[name][origin] for name in categories]).reshape(-1, 2)
            x = np.arange(len(categories)) + 0.15 * (place - 0.5 * (len(methods) - 1))
            ax.errorbar(
                x, values[:, 0], yerr=values[:, 1], label=name_of(method), linestyle="none",
                **look(method, content),
            )  # fmt: skip
        ax.set_xlim(-0.5, max(len(categories), 1) - 0.5)
        ax.set_ylim(0.0, 1.0)
        what = "the hard collision" if origin == "hard" else "pile-up"
        finish(
            ax, xlabel="", ylabel=f"kept part of the $p_T$ of {what}", headroom=1.4, right=energy
        )
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


def _draw_cost(figures: FigureSet, times: dict[str, Any], energy: str) -> None:
    """Draw the time of each method against the mean number of interactions."""
    fig, ax = figure()
    ordered = sorted(times.items(), key=lambda item: item[1]["interactions"])
    every = {"methods": ordered[0][1]["milliseconds"]}
    for method in every["methods"]:
        if method == "none":
            continue
        x = [content["interactions"] for _, content in ordered]
        y = [content["milliseconds"][method] for _, content in ordered]
        ax.plot(x, y, label=name_of(method), linestyle="none", **look(method, every))
    ax.set_xlim(0.0, 1.2 * max(content["interactions"] for _, content in ordered))
    finish(ax, xlabel="pile-up interactions", ylabel="time per event [ms]", right=energy)
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
        filled = ax.pcolormesh(
            edges, edges, np.where(scatter > 0, np.log10(np.maximum(scatter, 1)), np.nan)
        )
        fig.colorbar(filled, ax=ax, label="log10 of candidates")
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
