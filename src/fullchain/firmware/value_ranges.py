"""Ranges of values against the formats that hold them: what a profile of a network shows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fullchain.firmware.fixed_point import Array, Format

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of |value| of values that are not 0."""


def profile(values: Array) -> dict[str, Any]:
    """Describe values: extremes, how many are 0, and quantiles of the magnitude of the others.

    Returns
    -------
    `values` and `zeros` (counts), `lowest`, `highest`, and `magnitudes`: smallest, `QUANTILES`,
    largest of |value| without zeros, None where all are 0.
    """
    flat = np.abs(values[values != 0])
    found = [flat.min(), *np.quantile(flat, QUANTILES), flat.max()] if len(flat) else None
    return {
        "values": int(values.size),
        "zeros": int(values.size - len(flat)),
        "lowest": float(values.min(initial=0.0)),
        "highest": float(values.max(initial=0.0)),
        "magnitudes": None if found is None else [float(one) for one in found],
    }


def spans(formats: Sequence[Format]) -> dict[str, Any] | None:
    """Give what formats reach in all: smallest step, lowest and highest value, widths.

    Pruned channels count for the number of `pruned` only; None where nothing is left.
    """
    kept = [numbers.width > 0 for numbers in formats]
    if not any(mask.any() for mask in kept):
        return None

    def joined(name: str) -> Any:
        pieces = [getattr(one, name)[mask] for one, mask in zip(formats, kept, strict=True)]
        return np.concatenate(pieces)

    return {
        "step": float(joined("step").min()),
        "lowest": float(joined("lowest").min()),
        "highest": float(joined("highest").max()),
        "bits": [int(joined("width").min()), int(joined("width").max())],
        "channels": sum(numbers.channels for numbers in formats),
        "pruned": sum(int((~mask).sum()) for mask in kept),
    }
