"""ROOT files of a table of observables: one jet per entry, each column a branch."""

from __future__ import annotations

from typing import Any

LAYOUT = "high_level"
"""Name of the layout: branches `pt` and `mass`, `label`, `eta`, `phi` and `weight` where they are
known, observables by name, `source_file` and `source_row`."""

NEEDED = ("pt", "mass")
"""Branches without which a file is no such table."""

NUMBERS = "fiub"
"""Kinds of NumPy types that can be columns."""


def is_scalar(branch: Any) -> bool:
    """Whether a branch of a tree has one number for each entry."""
    kind = getattr(branch.interpretation, "to_dtype", None)
    return kind is not None and kind.shape == () and kind.kind in NUMBERS
