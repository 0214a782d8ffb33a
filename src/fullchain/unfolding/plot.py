"""Draw spectra, errors, refolding, pulls, iterations and coverage from saved numbers."""

from pathlib import Path
from typing import Annotated

from fullchain.plotting import figure_set
from fullchain.saved_numbers import read_numbers
from fullchain.step import Given, Input, Output
from fullchain.unfolding import (
    agreement_figures,
    coverage_figures,
    iteration_figures,
    looks,
    prior_figures,
    spectra_figures,
)
from fullchain.unfolding.spectrum_file import STAGE


def main(
    *,
    performance: Annotated[
        list[Path], Input("performance.json of each method of each measurement")
    ],
    coverage: Annotated[
        list[Path], Input("coverage.json of each method with pseudo-experiments")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw all figures of the stage."""
    figures = figure_set(index, STAGE)
    measured = [read_numbers(path, STAGE) for path in performance]
    covered = [read_numbers(path, STAGE) for path in coverage]
    looks.placed([*measured, *covered])
    for name in dict.fromkeys(one["measurement"] for one in measured):
        several = [one for one in measured if one["measurement"] == name]
        spectra_figures.draw(figures, several)
        agreement_figures.draw(figures, several)
        iteration_figures.draw(figures, several)
        coverage_figures.draw_calibration(figures, several)
        prior_figures.draw(figures, several)
    if covered:
        coverage_figures.draw(figures, covered)
    figures.write()
