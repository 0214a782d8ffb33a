"""Which jets belong to a class: cuts on the columns of jets."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.tagging.settings import LABELS, ClassSettings, SelectionSettings

Columns = dict[str, npt.NDArray[Any]]
Mask = npt.NDArray[np.bool_]

COLUMNS = ("variation", "pt", "eta", "label", "label_fully_contained")
"""Columns that the cuts read."""


def in_window(columns: Columns, selection: SelectionSettings) -> Mask:
    """Nominal jets inside the window of pT and eta."""
    pt = columns["pt"]
    return np.asarray(
        (columns["variation"] == "nominal")
        & (pt >= selection.pt_min)
        & (pt < selection.pt_max)
        & (np.abs(columns["eta"]) < selection.abs_eta_max)
    )


def of_class(columns: Columns, wanted: ClassSettings) -> Mask:
    """Jets with one of the truth labels of the class."""
    found = np.isin(columns["label"], wanted.label_numbers)
    if wanted.fully_contained:
        found &= columns["label_fully_contained"].astype(bool)
    return found


def census(columns: Columns) -> str:
    """Say in words which labels some jets have, for an error message."""
    names = {number: name for name, number in LABELS.items()}
    values, counts = np.unique(columns["label"], return_counts=True)
    found = [
        f"{count} {names.get(int(value), value)}"
        for value, count in zip(values, counts, strict=True)
    ]
    return ", ".join(found) or "none"
