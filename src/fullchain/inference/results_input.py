"""What fits, impacts and scans start from: a statistical model, its data, and its report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference import likelihood
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.grouped_impacts import modifier_kinds
from fullchain.saved_numbers import read_numbers

Array = NDArray[np.float64]

ASIMOV_STRENGTH = 1.0
"""Signal strength of the expectation that is fitted beside the data."""


@dataclass(frozen=True)
class ResultsInput:
    """A statistical model with its data sets by name: `data`, unless blind, and `asimov`."""

    model: HistFactory
    datasets: dict[str, Array]
    blind: bool
    report: Mapping[str, Any]
    kinds: Mapping[str, str]

    @property
    def poi(self) -> str:
        """Name of the parameter of interest."""
        assert self.model.poi is not None
        return self.model.names[self.model.poi]

    def dataset(self, wanted: str) -> str:
        """The data set that is wanted, or the expectation of a blind analysis."""
        return wanted if wanted in self.datasets else "asimov"


def read_results_input(workspace: Path, report: Path) -> ResultsInput:
    """Read a workspace and the report that was written beside it.

    Raises
    ------
    InputError
        A file is missing or not valid, or the report does not say whether the analysis is blind.
    """
    specification, about = (read_numbers(path, "inference") for path in (workspace, report))
    if not isinstance(about.get("blind"), bool):
        raise InputError(
            f"{report}: it does not say whether the analysis is blind; make the workspace again"
        )
    try:
        model, data = likelihood.load_model(specification)
        made = HistFactory(model)
    except InputError as problem:
        raise InputError(f"{workspace}: {problem}") from None
    datasets = {} if about["blind"] else {"data": data}
    datasets["asimov"] = likelihood.asimov(model, ASIMOV_STRENGTH)
    return ResultsInput(
        made, datasets, about["blind"], about, modifier_kinds(specification["channels"])
    )
