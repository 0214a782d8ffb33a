"""Draw the control plots of jets from the saved histograms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uproot

from fullchain.drawing import histogram, ratio_band, ratio_histogram
from fullchain.errors import InputError
from fullchain.jets.arrays import Array
from fullchain.jets.figures import Comparison, comparisons, label_name, sample_text
from fullchain.jets.observables import LUND_X, LUND_Y, OBSERVABLES, Observable
from fullchain.jets.settings import FigureSettings
from fullchain.plotting import (
    COLOURS,
    FigureSet,
    figure,
    figure_set,
    finish,
    process_colour,
    ratio_figure,
)
from fullchain.step import Given, Input, Output

BY_NAME = {observable.name: observable for observable in OBSERVABLES}


@dataclass(frozen=True)
class Shape:
    """Contents and errors (standard deviations) of a histogram."""

    values: Array
    errors: Array

    def scaled(self, factor: float) -> "Shape":
        """Give contents and errors times a factor."""
        return Shape(self.values * factor, self.errors * factor)


def main(
    *,
    histograms: Annotated[Path, Input("ROOT file of the step 'histograms'")],
    index: Annotated[Path, Output("list of the figures, beside which they lie")],
    settings: Given,
) -> None:
    """Draw all control plots.

    Raises
    ------
    InputError
        The file lacks a histogram that a figure needs.
    """
    chosen = settings.model("jets.figures", FigureSettings)
    figures = figure_set(index, "jets")
    with uproot.open(histograms) as file:
        samples = sorted({key.split("/")[0].split(";")[0] for key in file.keys(cycle=False)})
        variations = _variations(file)
        for comparison in comparisons(chosen, samples, variations):
            _draw(figures, comparison, file)
        for sample, label in chosen.lund.items():
            if sample in samples:
                _draw_lund(figures, sample, label, file)
    figures.write()


def _variations(file: Any) -> list[str]:
    """Give the names of the variations in the file, nominal left out."""
    names = {key.split("/")[1] for key in file.keys(cycle=False) if key.count("/") == 3}
    return sorted(names - {"nominal"})


def _read(file: Any, path: str) -> Any:
    """Read a histogram; None if its sample has no such jets.

    Raises
    ------
    InputError
        The sample and variation are not in the file at all.
    """
    try:
        return file[path]
    except uproot.KeyInFileError:
        sample, variation = path.split("/")[:2]
        if f"{sample}/{variation}/all" in file:
            return None
        raise InputError(
            f"{file.file_path}: no histograms of {sample}, {variation}; see jets.figures in the "
            "configuration, and run 'jets histograms' again"
        ) from None


def _contents(file: Any, path: str, observable: Observable, merge: int) -> Shape:
    """Read a histogram, `merge` neighbouring bins taken together; empty if there are no jets."""
    stored = _read(file, f"{path}/{observable.name}")
    if stored is None:
        return Shape(*np.zeros((2, observable.bins // merge)))
    values, variances = stored.values(), stored.variances()
    values, variances = (x.reshape(-1, merge).sum(axis=1) for x in (values, variances))
    return Shape(values, np.sqrt(variances))


def _draw(figures: FigureSet, comparison: Comparison, file: Any) -> None:
    """Draw one figure. Lines that share the events of the first have no band of their own."""
    observable = BY_NAME[comparison.observable]
    edges = observable.edges[:: comparison.merge]
    shapes = [_contents(file, line.path, observable, comparison.merge) for line in comparison.lines]
    reference = shapes[0].scaled(_inverse(shapes[0].values.sum()))
    fig, ax, ratio = ratio_figure()
    ratio_band(ratio, reference.values, reference.errors, edges, color=_colour(comparison, 0))
    for number, (line, shape) in enumerate(zip(comparison.lines, shapes, strict=True)):
        first = shapes[0] if comparison.same_events else shape
        shape = shape.scaled(_inverse(first.values.sum()))
        own = number == 0 or not comparison.same_events
        errors = shape.errors if own else None
        style = {"color": _colour(comparison, number), "linestyle": line.style}
        histogram(ax, shape.values, edges, errors=errors, label=line.text, **style)
        if number > 0:
            ratio_histogram(ratio, shape.values, errors, reference.values, edges, **style)
    ratio.set_ylim(*comparison.ratio_range)
    ratio.set_ylabel(f"ratio to\n{comparison.lines[0].text}", fontsize=10)
    finish(ax, xlabel=observable.axis_title, ylabel="share of jets", ratio=ratio)
    figures.save(fig, comparison.name, comparison.title, comparison.caption)


def _inverse(total: float) -> float:
    return 1.0 / total if total else 0.0


def _colour(comparison: Comparison, number: int) -> Any:
    line = comparison.lines[number]
    if comparison.by_sample:
        return process_colour(line.path.split("/")[0])
    return COLOURS[line.colour]


def _draw_lund(figures: FigureSet, sample: str, label: int, file: Any) -> None:
    """Draw the density of branchings per jet."""
    name = label_name(label)
    plane, jets = (_read(file, f"{sample}/nominal/{name}/{what}") for what in ("lund", "jets"))
    density = np.zeros((LUND_X.bins, LUND_Y.bins))
    if plane is not None:
        density = plane.values() / jets.values()[0] / (_width(LUND_X) * _width(LUND_Y))
    fig, ax = figure()
    mesh = ax.pcolormesh(
        LUND_X.edges, LUND_Y.edges, np.where(density > 0, density, np.nan).T, cmap="viridis"
    )
    fig.colorbar(mesh, ax=ax, label="branchings per jet and unit area")
    finish(ax, xlabel=LUND_X.axis_title, ylabel=LUND_Y.axis_title, legend=False, headroom=1.0)
    # a Lund plane has an origin of its own: keep the binned range
    ax.set_ylim(LUND_Y.low, LUND_Y.high)
    figures.save(
        fig,
        f"lund_{sample}",
        f"Primary Lund plane, {sample_text(sample)}",
        f"Mean density of the branchings along the harder branch of {name} jets of "
        f"{sample_text(sample)}, in the angle and the relative transverse momentum of the "
        "softer branch.",
    )


def _width(observable: Observable) -> float:
    return (observable.high - observable.low) / observable.bins
