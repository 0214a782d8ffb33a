"""Which figures the stage draws: known to the workflow before anything is drawn.

Nothing is imported that draws, so that the rules read it quickly.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from fullchain.inference.analysis_settings import Analysis
from fullchain.inference.ratio_figure_names import ratio_figure_names
from fullchain.inference.summary_figure_names import summary_figure_names
from fullchain.inference.synthetic_figure_names import synthetic_figure_names

OF_REGION = ("prefit", "postfit", "templates")
"""Figures of each region of an analysis."""

OF_REGIONS_TOGETHER = ("prefit", "postfit")
"""Figures of all regions of a workspace of the user: only it knows them."""

OF_FIT = ("pulls", "correlations")


class Drawn(Protocol):
    """What of the settings of the stage decides on the figures."""

    @property
    def analyses(self) -> Mapping[str, Analysis]:
        """Analyses by name."""
        ...


def names(inference: Drawn) -> list[str]:
    """Give the names of all figures.

    A part of the stage that is null has none.
    """
    workspaces: Mapping[str, Any] = getattr(inference, "workspaces", None) or {}
    found = []
    for name, analysis in inference.analyses.items():
        regions = analysis.selection.regions
        found += [f"{kind}_{name}_{region}" for kind in OF_REGION for region in regions]
        found += of_results(inference, name, blind=analysis.blind)
    for name, workspace in workspaces.items():
        found += [f"{kind}_{name}" for kind in OF_REGIONS_TOGETHER]
        found += of_results(inference, name, blind=bool(getattr(workspace, "blind", False)))
    found += synthetic_figure_names(getattr(inference, "synthetic", None))
    found += summary_figure_names(getattr(inference, "summaries", None))
    found += ratio_figure_names(getattr(inference, "ratio", None))
    return found


def of_results(inference: object, name: str, *, blind: bool) -> list[str]:
    """Figures of one analysis beside those of its regions."""
    kinds = list(OF_FIT)
    results = getattr(inference, "results", None)
    if results is not None:
        kinds += ["ranking", "groups", "scans"]
        if results.scan.contours:
            kinds.append("contours")
    if getattr(inference, "limits", None) is not None:
        kinds += ["limits", "cls"]
    toys = getattr(inference, "toys", None)
    if toys is not None and toys.goodness and not blind:
        kinds.append("goodness")
    if toys is not None and toys.coverage:
        kinds.append("toys")
    return [f"{kind}_{name}" for kind in kinds]
