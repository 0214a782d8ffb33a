"""Draw rejection against 1/JSD, mass shapes, sculpting and mass fits from saved numbers."""

import json
from pathlib import Path
from typing import Annotated, Any

from fullchain.decorrelation import fit_figures, frontier_figures, shape_figures
from fullchain.errors import InputError
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
    measured = [read(path) for path in performance]
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


def read(path: Path) -> dict[str, Any]:
    """Read a performance.json. Raises InputError where the file is none of this stage."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["sculpting"]  # a file of another stage has none
        return dict(content)
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f"{path}: not numbers of 'decorrelation evaluate' ({problem}); rerun it"
        ) from None
