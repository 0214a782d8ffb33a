"""Draw all figures of the stage from saved numbers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from matplotlib.figure import Figure

from fullchain.errors import InputError
from fullchain.inference import (
    likelihood_figures,
    limit_figures,
    parameter_figures,
    ratio_figures,
    region_figures,
    summary_figures,
    synthetic_figures,
)
from fullchain.inference.collected import STAGE, collect
from fullchain.inference.presentation_settings import FigureSettings
from fullchain.laid_out_figures import LaidOutFigureSet, title_of
from fullchain.plotting import FigureSet
from fullchain.saved_numbers import read_numbers
from fullchain.step import Given, Input, Option, Output

Drawn = Mapping[str, tuple[Figure, str]]


def main(
    *,
    fit: Annotated[list[Path], Input("fit.json of each analysis, in a folder of its name")] = [],  # noqa: B006
    workspace: Annotated[list[Path], Input("workspace.json of each analysis")] = [],  # noqa: B006
    model: Annotated[list[Path], Input("model.json of each analysis")] = [],  # noqa: B006
    impacts: Annotated[list[Path], Input("impacts.json of the analyses that have it")] = [],  # noqa: B006
    scans: Annotated[list[Path], Input("scans.json of the analyses that have it")] = [],  # noqa: B006
    limits: Annotated[list[Path], Input("limits.json of the analyses that have it")] = [],  # noqa: B006
    toys: Annotated[list[Path], Input("toys.json of the analyses that have it")] = [],  # noqa: B006
    adopted: Annotated[
        list[str], Option("analyses that are a workspace of the user, whose regions share figures")
    ] = [],  # noqa: B006
    known: Annotated[
        list[Path], Input("numbers of the synthetic benchmark without learning: one file")
    ] = [],  # noqa: B006
    learned: Annotated[list[Path], Input("numbers of each learned summary of the benchmark")] = [],  # noqa: B006
    summaries: Annotated[list[Path], Input("numbers of learned summaries")] = [],  # noqa: B006
    ratio: Annotated[list[Path], Input("numbers of learned likelihood ratios")] = [],  # noqa: B006
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw all figures of all analyses, and of what else the stage did."""
    chosen = settings.model("inference.figures", FigureSettings)
    analyses = collect(
        fit=fit,
        workspace=workspace,
        model=model,
        impacts=impacts,
        scans=scans,
        limits=limits,
        toys=toys,
    )
    for name in adopted:
        if name not in [one.name for one in analyses]:
            raise InputError(f"--adopted: no analysis {name!r} among the fits")
    figures = LaidOutFigureSet(index, STAGE)
    for one in analyses:
        if one.name in adopted:
            region_figures.draw_together(figures, one)
        else:
            region_figures.draw(figures, one)
        parameter_figures.draw(figures, one, chosen)
        likelihood_figures.draw(figures, one)
        limit_figures.draw(figures, one)
    for path in known:
        several = [read_numbers(one, STAGE) for one in learned]
        _save(figures, synthetic_figures.figures(read_numbers(path, STAGE), several))
    _others(figures, summaries, summary_figures.figures)
    _others(figures, ratio, ratio_figures.figures)
    figures.write()


def _others(
    figures: FigureSet,
    paths: Sequence[Path],
    draw: Callable[[Sequence[Mapping[str, Any]]], Drawn],
) -> None:
    """Save the figures that a part of the stage draws from the content of its files."""
    if paths:
        _save(figures, draw([read_numbers(path, STAGE) for path in paths]))


def _save(figures: FigureSet, drawn: Drawn) -> None:
    for name, (fig, caption) in drawn.items():
        figures.save(fig, name, title_of(caption), caption)
