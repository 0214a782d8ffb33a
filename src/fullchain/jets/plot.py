"""Draw the control plots of jets from the saved histograms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uproot

from fullchain.drawing import histogram, ratio_band, ratio_histogram
from fullchain.errors import InputError
from fullchain.jets.arrays import Array
from fullchain.jets.figures import ALL, Comparison, Line, comparisons, label_name, sample_text
from fullchain.jets.observables import AXIS_TITLES, LUND_X, LUND_Y, Observable
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

NOMINAL = "nominal"


@dataclass(frozen=True)
class Shape:
    """Contents and errors (standard deviations) of a histogram.

    What lies outside of the range is in the first and the last bin.
    """

    values: Array
    errors: Array
    edges: Array

    def scaled(self, factor: float) -> "Shape":
        """Give contents and errors times a factor."""
        return Shape(self.values * factor, self.errors * factor, self.edges)


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
        for comparison in comparisons(chosen, samples, sorted(settings["jets.shifts"])):
            _draw(figures, comparison, file)
        for sample, label in chosen.lund.items():
            if sample in samples:
                _draw_lund(figures, sample, label, file)
    figures.write()


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


def _contents(file: Any, path: str, observable: str, merge: int) -> Shape:
    """Read a histogram, `merge` neighbouring bins taken together; empty if there are no jets."""
    sample, variation, _ = path.split("/")
    stored = _read(file, f"{path}/{observable}")
    # all jets of the sample have the binning of those of a label
    some = _read(file, f"{sample}/{variation}/{ALL}/{observable}") if stored is None else stored
    values, variances = some.values(flow=True), some.variances(flow=True)
    values, variances = (_with_flow(x).reshape(-1, merge).sum(axis=1) for x in (values, variances))
    used = 0.0 if stored is None else 1.0
    return Shape(used * values, used * np.sqrt(variances), some.axis().edges()[::merge])


def _with_flow(contents: Array) -> Array:
    """Put what lies below and above the range into the first and the last bin."""
    inside = np.array(contents[1:-1], np.float64)
    inside[0] += contents[0]
    inside[-1] += contents[-1]
    return inside


def _lines_there(comparison: Comparison, file: Any) -> tuple[list[Line], list[str]]:
    """Give the lines that can be drawn, and the text of the variations without any jet.

    The nominal jets of a sample are always there. A variation is not where the sample cannot have
    it, as recorded data and jets without constituents, or has none of its jets in the window.
    """
    lines, left_out = [], []
    for line in comparison.lines:
        sample, variation, _ = line.path.split("/")
        there = variation == NOMINAL or f"{sample}/{variation}/{ALL}" in file
        if there:
            lines.append(line)
        else:
            left_out.append(line.text)
    return lines, left_out


def _draw(figures: FigureSet, comparison: Comparison, file: Any) -> None:
    """Draw one figure. Lines that share the events of the first have no band of their own."""
    lines, left_out = _lines_there(comparison, file)
    name, merge = comparison.observable, comparison.merge
    shapes = [_contents(file, line.path, name, merge) for line in lines]
    edges = shapes[0].edges
    reference = shapes[0].scaled(_inverse(shapes[0].values.sum()))
    fig, ax, ratio = ratio_figure()
    ratio_band(
        ratio, reference.values, reference.errors, edges, color=_colour(comparison, lines[0])
    )
    for number, (line, shape) in enumerate(zip(lines, shapes, strict=True)):
        first = shapes[0] if comparison.same_events else shape
        shape = shape.scaled(_inverse(first.values.sum()))
        own = number == 0 or not comparison.same_events
        errors = shape.errors if own else None
        style = {"color": _colour(comparison, line), "linestyle": line.style}
        histogram(ax, shape.values, edges, errors=errors, label=line.text, **style)
        if number > 0:
            ratio_histogram(ratio, shape.values, errors, reference.values, edges, **style)
    ratio.set_ylim(*comparison.ratio_range)
    ratio.set_ylabel(f"ratio to\n{comparison.lines[0].text}", fontsize=10)
    finish(ax, xlabel=AXIS_TITLES[name], ylabel="share of jets", ratio=ratio)
    caption = f"{comparison.caption} The outermost bins hold what lies outside of the range."
    if left_out:
        caption += f" Not there, as the sample has no such jets: {', '.join(left_out)}."
    if not any(shape.values.any() for shape in shapes):
        _note(ax)
        caption += " No jet was selected."
    figures.save(fig, comparison.name, comparison.title, caption)


def _note(ax: Any) -> None:
    ax.text(0.5, 0.5, "no entries", transform=ax.transAxes, ha="center", va="center")


def _inverse(total: float) -> float:
    return 1.0 / total if total else 0.0


def _colour(comparison: Comparison, line: Line) -> Any:
    if comparison.by_sample:
        return process_colour(line.path.split("/")[0])
    return COLOURS[line.colour]


def _draw_lund(figures: FigureSet, sample: str, label: int, file: Any) -> None:
    """Draw the density of branchings per jet."""
    name = label_name(label)
    plane, jets = (_read(file, f"{sample}/nominal/{name}/{what}") for what in ("lund", "jets"))
    density = np.zeros((LUND_X.bins, LUND_Y.bins))
    if plane is not None and jets.values()[0]:
        density = plane.values() / jets.values()[0] / (_width(LUND_X) * _width(LUND_Y))
    fig, ax = figure()
    mesh = ax.pcolormesh(
        LUND_X.edges, LUND_Y.edges, np.where(density > 0, density, np.nan).T, cmap="viridis"
    )
    fig.colorbar(mesh, ax=ax, label="branchings per jet and unit area")
    finish(ax, xlabel=LUND_X.axis_title, ylabel=LUND_Y.axis_title, legend=False, headroom=1.0)
    # a Lund plane has an origin of its own: keep the binned range
    ax.set_ylim(LUND_Y.low, LUND_Y.high)
    if not density.any():
        _note(ax)
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
