"""Draw rejection against 1/JSD, mass shapes, sculpting and mass fits from saved numbers."""

from pathlib import Path
from typing import Annotated

from fullchain.decorrelation import fit_figures, frontier_figures, shape_figures
from fullchain.decorrelation.measurement import measurement
from fullchain.plotting import figure_set
from fullchain.step import Given, Input, Output


def main(
    *,
    performance: Annotated[
        list[Path], Input("performance.json of each tagger and of each variant")
    ],
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw all figures of the stage."""
    figures = figure_set(index, "decorrelation")
    measured = [measurement(path) for path in performance]
    for tagger in dict.fromkeys(one["tagger"] for one in measured):
        mine = [one for one in measured if one["tagger"] == tagger]
        frontier_figures.draw(figures, tagger, mine)
        if mine[0]["mass_fit"] is not None:
            fit_figures.draw(figures, tagger, mine)
    for one in measured:
        shape_figures.draw(figures, one)
        if one["mass_fit"] is not None:
            fit_figures.draw_fit(figures, one)
    figures.write()
