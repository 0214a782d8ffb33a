"""Draw what the samples hold."""

import json
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.drawing import histogram, points, ratio_histogram, ratio_points
from fullchain.errors import InputError
from fullchain.ntuples.densities import MEASURED
from fullchain.plotting import (
    COLOURS,
    LINESTYLES,
    FigureSet,
    figure,
    figure_set,
    finish,
    label,
    panels,
    process_colour,
    process_label,
    ratio_figure,
)
from fullchain.step import Given, Input, Output

SPECTRA = (
    ("charged", "barrel"),
    ("photon", "barrel"),
    ("neutral", "barrel"),
    ("charged", "endcap"),
    ("photon", "endcap"),
    ("forward_hadron", "forward"),
)


def main(
    *,
    numbers: Annotated[Path, Input("numbers of ntuples measure, JSON")],
    index: Annotated[Path, Output("list of the figures, JSON")],
    settings: Given,
) -> None:
    """Draw sample sizes, candidates by species, use of shower weights, and pile-up against CMS."""
    try:
        content = json.loads(numbers.read_text(encoding="utf-8"))
        samples, reference = content["samples"], content["reference"]
    except (json.JSONDecodeError, KeyError, ValueError) as problem:
        raise InputError(f"{numbers}: not from ntuples measure ({problem}); rerun it") from None
    figures = figure_set(index, stage="ntuples")
    draw_samples(figures, samples)
    if any("candidates" in sample for sample in samples.values()):
        draw_candidates(figures, samples)
    if any("shower_weights" in sample for sample in samples.values()):
        draw_shower_weights(figures, samples)
    with_pileup = {name: sample["pileup"] for name, sample in samples.items() if "pileup" in sample}
    # the figures that were announced are drawn also where no sample has numbers for them
    if with_pileup or _announced(settings):
        draw_density(figures, with_pileup, reference)
        draw_spectra(figures, with_pileup, reference)
    figures.write()


def _announced(settings: Given) -> bool:
    """Whether the configuration has pile-up in a sample, so that the workflow expects figures."""
    samples = settings.values.get("ntuples", {}).get("samples", {})
    return any(s.get("pileup") or s.get("pileup_profile") for s in samples.values())


def _without_samples(samples: dict[str, Any]) -> str:
    """Say in a caption why the figure shows nothing of ours."""
    return "" if samples else " No sample has enough pile-up to be compared."


def draw_samples(figures: FigureSet, samples: dict[str, Any]) -> None:
    """Number of events of each sample."""
    fig, ax = figure(height=1.2 + 0.35 * len(samples))
    names = list(samples)
    place = np.arange(len(names))
    ax.barh(
        place,
        [samples[name]["events"] for name in names],
        color=[process_colour(name) for name in names],
    )
    ax.set_yticks(place, [process_label(name) for name in names])
    ax.invert_yaxis()
    ax.set_xlabel("events")
    label(ax)
    figures.save(fig, "samples", "Samples", "Number of events of each sample.")


def draw_candidates(figures: FigureSet, samples: dict[str, Any]) -> None:
    """Mean number of candidates per event, by species."""
    chosen = {name: sample for name, sample in samples.items() if "candidates" in sample}
    fig, ax = figure(height=2.2 + 0.35 * len(chosen))
    place = np.arange(len(chosen))
    left = np.zeros(len(chosen))
    for species, colour in zip(next(iter(chosen.values()))["candidates"], COLOURS, strict=False):
        width = np.array([sample["candidates"][species][0] for sample in chosen.values()])
        ax.barh(place, width, left=left, color=colour, label=species.replace("_", " "))
        left += width
    ax.set_yticks(place, [process_label(name) for name in chosen])
    ax.invert_yaxis()
    ax.set_xlabel("candidates per event")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    label(ax)
    figures.save(
        fig,
        "candidates",
        "Candidates",
        "Mean number of particle-flow candidates per event by species; forward: |η| > 3.",
    )


def draw_shower_weights(figures: FigureSet, samples: dict[str, Any]) -> None:
    """Part of the statistics that each variation of the shower leaves."""
    chosen = {name: s["shower_weights"] for name, s in samples.items() if "shower_weights" in s}
    variations = list(next(iter(chosen.values())))
    fig, ax = figure()
    step = 0.8 / len(chosen)
    for number, (name, weights) in enumerate(chosen.items()):
        x = np.arange(len(variations)) + (number - (len(chosen) - 1) / 2) * step
        ax.errorbar(
            x,
            [weights[v]["effective"] for v in variations],
            yerr=[weights[v]["effective_error"] for v in variations],
            fmt="o",
            color=process_colour(name),
            label=process_label(name),
        )
    ax.set_xticks(np.arange(len(variations)), [v.replace("_", " ") for v in variations])
    ax.minorticks_off()
    ax.set_xlim(-0.6, len(variations) - 0.4)
    ax.set_ylim(0.0, 1.1)
    ax.set_ylabel("effective part of the statistics")
    ax.legend(loc="lower right")
    label(ax)
    figures.save(
        fig,
        "shower_weights",
        "Use of shower weights",
        "$(\\sum w)^2/(n \\sum w^2)$ of the relative weights in PSWeight: renormalisation scale of "
        "initial-state radiation times 1/2 (up) and 2 (down), of final-state radiation times "
        "$1/\\sqrt{2}$ and $\\sqrt{2}$. Errors: jackknife.",
    )


def draw_density(figures: FigureSet, samples: dict[str, Any], reference: dict[str, Any]) -> None:
    """Density of candidates away from jets against the CMS file."""
    places = [f"{species}.{region}" for species, region in MEASURED]
    edges = np.arange(len(places) + 1) - 0.5
    cms = np.array([reference["densities"][place]["density"] for place in places])
    cms_error = np.array([reference["densities"][place]["error"] for place in places])
    fig, ax, ratio = ratio_figure(width=8.5, height=7.5)
    points(ax, cms, edges, errors=cms_error, label="CMS simulation, 10 events")
    ratio_points(ratio, cms, cms_error, cms, edges)
    for (name, sample), line in zip(samples.items(), cycle(LINESTYLES), strict=False):
        ours = np.array([sample["densities"][place]["density"] for place in places])
        error = np.array([sample["densities"][place]["error"] for place in places])
        colour = process_colour(name)
        histogram(
            ax,
            ours,
            edges,
            errors=error,
            label=process_label(name),
            color=colour,
            linestyle=line,
        )
        ratio_histogram(ratio, ours, error, cms, edges, color=colour, linestyle=line)
    ratio.set_xticks(
        np.arange(len(places)),
        [place.replace("_", " ").replace(".", ", ") for place in places],
        rotation=60,
        ha="right",
        rotation_mode="anchor",
    )
    ratio.minorticks_off()
    finish(ax, xlabel="", ylabel="candidates per interaction and area", ratio=ratio, logy=True)
    ratio.set_ylabel("to CMS", loc="center")
    figures.save(
        fig,
        "pileup_density",
        "Density of pile-up",
        "Candidates per interaction and unit of area in η and φ, farther than "
        f"{reference['jet_radius']} from the two leading jets, against ten simulated CMS events "
        "with 28.5 pile-up interactions. Errors: spread of the events." + _without_samples(samples),
    )


def draw_spectra(figures: FigureSet, samples: dict[str, Any], reference: dict[str, Any]) -> None:
    """Spectra in pT of candidates away from jets against the CMS file."""
    edges = np.array(reference["pt_edges"])
    width = np.diff(edges)
    fig, axes = panels(3, 2)
    for ax, (species, region) in zip(axes.flat, SPECTRA, strict=True):
        place = f"{species}.{region}"
        cms = reference["densities"][place]
        points(
            ax,
            np.array(cms["spectrum"]) / width,
            edges,
            errors=np.array(cms["spectrum_error"]) / width,
            label="CMS simulation",
        )
        for (name, sample), line in zip(samples.items(), cycle(LINESTYLES), strict=False):
            ours = sample["densities"][place]
            histogram(
                ax,
                np.array(ours["spectrum"]) / width,
                edges,
                errors=np.array(ours["spectrum_error"]) / width,
                label=process_label(name),
                color=process_colour(name),
                linestyle=line,
            )
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_title(place.replace("_", " ").replace(".", ", "), fontsize=12)
        ax.set_xlabel("$p_T$ [GeV]")
        ax.set_ylabel("per interaction, area, GeV")
    axes.flat[0].legend(fontsize=9)
    figures.save(
        fig,
        "pileup_spectra",
        "Spectra of pile-up",
        "Transverse momentum of candidates away from jets, per interaction, unit of area and GeV, "
        "against ten simulated CMS events. Errors: spread of the events."
        + _without_samples(samples),
    )
