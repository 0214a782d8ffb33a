"""Which jets belong to a class: cuts on the columns of jets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.tagging.class_settings import ClassSettings
from fullchain.tagging.selection_settings import SelectionSettings

Columns = dict[str, npt.NDArray[Any]]
Mask = npt.NDArray[np.bool_]

COLUMNS = ("variation", "pt", "eta", "label", "label_fully_contained")
"""Columns that the cuts read, beside those of `SelectionSettings.ranges`."""


def in_window(columns: Columns, selection: SelectionSettings) -> Mask:
    """Nominal jets inside the window of pT and eta, and in the ranges of further columns."""
    pt = columns["pt"]
    inside = (
        (columns["variation"] == "nominal")
        & (pt >= selection.pt_min)
        & (pt < selection.pt_max)
        & (np.abs(columns["eta"]) < selection.abs_eta_max)
    )
    for name, (low, high) in selection.ranges.items():
        inside &= (columns[name] >= low) & (columns[name] < high)
    return np.asarray(inside)


def of_measurement(
    measured: SelectionSettings | None, trained: SelectionSettings
) -> SelectionSettings:
    """Give the selection of jets to measure on: by default those of training.

    A selection that all taggers are measured on keeps the further ranges of each, outside of which
    the tagger knows nothing.
    """
    if measured is None:
        return trained
    return measured if measured.ranges else measured.model_copy(update={"ranges": trained.ranges})


def described(selection: SelectionSettings) -> str:
    """Say what is selected, for messages."""
    ranges = [f"{name} {low:g}-{high:g}" for name, (low, high) in selection.ranges.items()]
    own = f"pT {selection.pt_min:g}-{selection.pt_max:g} GeV and |eta| < {selection.abs_eta_max:g}"
    return ", ".join([own, *ranges])


def of_class(columns: Columns, wanted: ClassSettings) -> Mask:
    """Jets with one of the truth labels of the class."""
    found = np.isin(columns["label"], wanted.label_numbers)
    if wanted.fully_contained:
        found &= columns["label_fully_contained"].astype(bool)
    return found


def class_numbers(
    columns: Columns, sample: str, classes: Sequence[ClassSettings]
) -> npt.NDArray[np.intp]:
    """Number of the class that each jet of `sample` belongs to, shape (jets,); -1 for none."""
    numbers = np.full(len(columns["label"]), -1, dtype=np.intp)
    for number, wanted in enumerate(classes):
        if sample in wanted.samples:
            numbers[of_class(columns, wanted)] = number
    return numbers
